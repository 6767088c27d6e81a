"""Everything in guest/ runs inside the virtual machine only: see tests/vm/run."""

import os

collect_ignore = [] if "EDGED_VM" in os.environ else ["guest"]
