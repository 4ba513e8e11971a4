"""Reading input files, and the error that names file and line."""

from pathlib import Path

# Not str.split(): some published files have tokens with a no-break or ideographic space inside.
COLUMN_SPACE = r"[ \t]+"


class ConversionError(ValueError):
    """Malformed input: what was found, what was expected, and where.

    path (Path): The input file or folder.
    message (str): What is wrong and how to put it right.
    line (int | None): The 1-based line of the input file.
    """

    def __init__(self, path: Path, message: str, line: int | None = None):
        self.path = path
        self.message = message
        self.line = line
        super().__init__(f"{path}: {message}" if line is None else f"{path}, line {line}: {message}")


def read_text(path: Path, *, encoding: str = "utf-8", errors: str = "strict") -> str:
    """The decoded file, without a byte order mark.

    path (Path): The file.
    encoding (str): The encoding that the file has.
    errors (str): The error handler of `bytes.decode`.
    RETURNS (str): The text, line ends as they are in the file.
    RAISES ConversionError: The file is missing, empty, or not in that encoding.
    """
    if not path.is_file():
        raise ConversionError(path, "no such file")
    data = path.read_bytes()
    try:
        text = data.decode(encoding, errors)
    except UnicodeDecodeError as e:
        line = data.count(b"\n", 0, e.start) + 1
        found = f"byte {e.start} (0x{data[e.start]:02x}) is not {encoding}: {e.reason}"
        raise ConversionError(path, f"{found}. Convert the file or name its encoding", line) from e
    except LookupError as e:
        raise ConversionError(path, f"unknown encoding {encoding!r}") from e
    if not text.strip():
        raise ConversionError(path, "the file is empty")
    return text.removeprefix("\ufeff")


def read_lines(path: Path, *, encoding: str = "utf-8") -> list[str]:
    """The lines of a file without line ends and without blank lines at its end.

    path (Path): The file.
    encoding (str): The encoding that the file has.
    RETURNS (list[str]): The lines; the first is line 1.
    RAISES ConversionError: As for `read_text`.
    """
    # Not splitlines(), which also splits at U+0085 and U+2028 inside a line.
    lines = read_text(path, encoding=encoding).replace("\r\n", "\n").split("\n")
    while not lines[-1].strip():
        lines.pop()
    return lines
