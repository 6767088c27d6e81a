"""The program: command line, configuration, supervision, delivery, diagnostics.

Everything here composes the floors below; nothing below imports this package.
"""

__version__ = "0.1.0"
