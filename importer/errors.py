"""What ends an import early. The message is the one line that the user sees; exit status 2."""


class ImportFault(Exception):
    """The import cannot go on: nothing that was accepted is lost, the same command continues."""


class Usage(ImportFault):
    """The command line asks for something that cannot be."""


class Unreadable(ImportFault):
    """The input is missing, damaged, or of another format."""


class Refused(ImportFault):
    """The edge refuses the whole request: the key, the address or the form is wrong."""


class Unreachable(ImportFault):
    """The edge has not answered for longer than we are willing to wait."""
