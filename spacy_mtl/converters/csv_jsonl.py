"""Tables of texts with labels: CSV, TSV and JSONL."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from spacy.language import Language
from spacy.tokens import Doc

from .json_records import read_json_lines
from .text_files import ConversionError, read_text

NO_HEADER = "; if the first line is no header, name the columns, as in --columns text,label"

RowT = tuple[int, dict[str, Any]]  # line, values by column


def convert_table(
    path: Path,
    nlp: Language,
    *,
    text: str = "text",
    labels: Sequence[str] = ("label",),
    multilabel: bool = False,
    separator: str = ",",
    quotes: bool = True,
    columns: Sequence[str] = (),
    keys: Mapping[str, Iterable[str]] | None = None,
    encoding: str = "utf-8",
) -> Iterator[Doc]:
    """Docs with `doc.cats` from one or more label columns, tokenised by `nlp`. Entities are missing.

    With several label columns the keys of `cats` are `column=value`, with one they are the values. A row without a
    value in a column gets none of that column's keys: the label is missing. With `multilabel`, an empty cell or an
    empty JSON list means that no label applies (all 0.0), a JSON null or an absent key that the labels are missing.

    path (Path): A `.csv`, `.tsv` or `.jsonl` file.
    nlp (Language): Makes the docs.
    text (str): The column of the texts.
    labels (Sequence[str]): The columns of the labels.
    multilabel (bool): A cell holds any number of labels: a text split at `separator`, or a JSON list.
    separator (str): What stands between two labels of a cell.
    quotes (bool): Whether `"` quotes a cell of a CSV or TSV file.
    columns (Sequence[str]): Names of the columns of a CSV or TSV file without a header line. Default: the first line.
    keys (Mapping[str, Iterable[str]] | None): The values of each label column, where other files have further ones.
        Default: the values of this file.
    encoding (str): The encoding of the file.
    YIELDS (Doc): One doc a row.
    RAISES ConversionError: A column is missing, a row has a cell too many or too few, a text is empty, a value is no
        label, JSON or quoting is broken, or the file has no rows.
    """
    if keys is None:
        keys = collect_values(
            [path],
            labels,
            multilabel=multilabel,
            separator=separator,
            quotes=quotes,
            columns=columns,
            encoding=encoding,
        )
    for line, row in read_rows(path, quotes=quotes, columns=columns, encoding=encoding):
        doc = nlp.make_doc(_get_text(row, text, path=path, line=line))
        for column in labels:
            positive = _get_labels(row, column, multilabel=multilabel, separator=separator, path=path, line=line)
            if positive is not None:
                prefix = f"{column}=" if len(labels) > 1 else ""
                doc.cats.update({f"{prefix}{value}": float(value in positive) for value in sorted(keys[column])})
        yield doc


def collect_values(
    paths: Iterable[Path],
    labels: Sequence[str],
    *,
    multilabel: bool = False,
    separator: str = ",",
    quotes: bool = True,
    columns: Sequence[str] = (),
    encoding: str = "utf-8",
) -> dict[str, list[str]]:
    """All values of the label columns in several files.

    paths (Iterable[Path]): The files.
    labels (Sequence[str]): The columns of the labels.
    RETURNS (dict[str, list[str]]): The values of each column, sorted.
    RAISES ConversionError: As for `convert_table`; also when a file has no such column, or no row has a value.
    """
    values: dict[str, set[str]] = {column: set() for column in labels}
    for path in paths:
        rows = list(read_rows(path, quotes=quotes, columns=columns, encoding=encoding))
        found_columns = list(dict.fromkeys(name for _, row in rows for name in row))
        for column in labels:
            if column not in found_columns:
                raise _no_column(path, column, found_columns, 1)
            for line, row in rows:
                found = _get_labels(row, column, multilabel=multilabel, separator=separator, path=path, line=line)
                values[column].update(found or ())
    for column, found_values in values.items():
        if not found_values:
            raise ConversionError(path, f"column {column!r} has no value in any row")
    return {column: sorted(found_values) for column, found_values in values.items()}


def read_rows(
    path: Path, *, quotes: bool = True, columns: Sequence[str] = (), encoding: str = "utf-8"
) -> Iterator[RowT]:
    """The rows of a file.

    path (Path): A `.csv`, `.tsv` or `.jsonl` file.
    quotes (bool): Whether `"` quotes a cell of a CSV or TSV file.
    columns (Sequence[str]): Names of the columns of a CSV or TSV file without a header line. Default: the first line.
    encoding (str): The encoding of the file.
    YIELDS (tuple[int, dict[str, Any]]): The line at which the row starts, and its values by column.
    RAISES ConversionError: JSON or quoting is broken, or a row has a cell too many or too few.
    """
    if path.suffix == ".jsonl":
        if columns:
            raise ConversionError(path, "--columns is for .csv and .tsv files; the keys of JSONL name its columns")
        return read_json_lines(path, encoding=encoding)
    delimiter = "\t" if path.suffix == ".tsv" else ","
    return _read_csv(path, delimiter=delimiter, quotes=quotes, columns=columns, encoding=encoding)


def _read_csv(path: Path, *, delimiter: str, quotes: bool, columns: Sequence[str], encoding: str) -> Iterator[RowT]:
    source = io.StringIO(read_text(path, encoding=encoding), newline="")
    reader = csv.reader(
        source, delimiter=delimiter, quoting=csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE, strict=True
    )
    line = 1
    n_rows = 0
    header = _check_header(list(columns), path=path, line=line)
    try:
        for cells in reader:
            if header and cells:
                yield line, _make_row(header, cells, path=path, line=line)
                n_rows += 1
            header = header or _check_header(cells, path=path, line=line)
            line = reader.line_num + 1
    except csv.Error as e:
        raise ConversionError(path, f"{e} (--no-quotes reads quotation marks as text)", line) from e
    if n_rows == 0:
        raise ConversionError(path, f"the file has a header but no rows{NO_HEADER}")


def _check_header(cells: list[str], *, path: Path, line: int) -> list[str]:
    for name in cells:
        if cells.count(name) > 1:
            raise ConversionError(path, f"two columns have the name {name!r}{NO_HEADER}", line)
    return cells


def _make_row(header: list[str], cells: list[str], *, path: Path, line: int) -> dict[str, str]:
    if len(cells) != len(header):
        raise ConversionError(path, f"expected the {len(header)} columns {header}, found {len(cells)}", line)
    return dict(zip(header, cells, strict=True))


def _no_column(path: Path, column: str, columns: Sequence[str], line: int) -> ConversionError:
    message = f"no column {column!r}, the columns are {list(columns)}"
    if path.suffix != ".jsonl":
        message += NO_HEADER
    return ConversionError(path, message, line)


def _get_text(row: Mapping[str, Any], column: str, *, path: Path, line: int) -> str:
    if column not in row:
        raise _no_column(path, column, list(row), line)
    value = row[column]
    if not isinstance(value, str) or not value.strip():
        raise ConversionError(path, f"column {column!r} is {value!r}, expected a text", line)
    return value


def _get_labels(
    row: Mapping[str, Any], column: str, *, multilabel: bool, separator: str, path: Path, line: int
) -> list[str] | None:
    """The labels of a cell; None if they are missing."""
    value = row.get(column)
    if value is None or (value == "" and not multilabel):
        return None
    if isinstance(value, str) and multilabel:
        value = value.split(separator)
    elif isinstance(value, list) and not multilabel:
        raise ConversionError(path, f"column {column!r} is a list: set --multilabel", line)
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(v, str | int | float) for v in values):
        raise ConversionError(path, f"column {column!r} is {value!r}, expected a label", line)
    return [label for v in values if (label := str(v).strip())]
