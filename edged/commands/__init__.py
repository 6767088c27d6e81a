"""One module a command: `main(options) -> exit status`. Answers go to standard output."""
