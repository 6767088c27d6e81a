"""The broker of the `iotcore` wheel (rumqttd) as a process: ``python -m mqtt.iotcore_child TOML``.

The one rule: everything comes from the TOML file; iotcore's keyword arguments would listen on all
interfaces and without MQTT 5.
"""

import logging
import sys

from iotcore import IotCoreBroker


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    # rumqttd reports each packet as an "error span".
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    IotCoreBroker(config_path=sys.argv[1]).run_forever()


if __name__ == "__main__":
    main()
