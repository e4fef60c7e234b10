"""Tables of text: what is tolerated, what is refused, and writing complete or not at all."""

import pytest

from weakspot.data.tables import read_table, write_table
from weakspot.errors import InputError


def table(tmp_path, content, name="table.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(content.encode(encoding))
    return path


def test_cells_are_stripped_text_and_rows_numbered_as_in_a_spreadsheet(tmp_path):
    path = table(tmp_path, '\ufeff id , note\r\n007, "a, b" \r\n\r\n , \n1e5,"two\nlines"\n')
    read = read_table(path, ["id"])
    assert read.to_dict("split") == {
        "index": [2, 5],
        "columns": ["id", "note"],
        "data": [["007", "a, b"], ["1e5", "two\nlines"]],
    }


def test_semicolons_as_spreadsheets_write_them_and_headers_of_any_case(tmp_path):
    read = read_table(table(tmp_path, "ID;Image;Count;Split;Age\na,b;c.png;1;train;60,5\n"), ["id", "image", "count"])
    assert read.to_dict("records") == [{"id": "a,b", "image": "c.png", "count": "1", "split": "train", "Age": "60,5"}]
    with pytest.raises(InputError, match="the column 'id' is there more than once"):
        read_table(table(tmp_path, "id,ID\na,b\n"), ["id"])


def test_tabs_by_the_ending(tmp_path):
    assert read_table(table(tmp_path, "id\tx\na,b\t1\n", "t.TSV"), ["id", "x"]).iloc[0].tolist() == [
        "a,b",
        "1",
    ]


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ("id,id,x,x\n", "t.csv", ["'id' is there more than once", "'x' is there more than once"]),
        ("id,x\n", "t.csv", ["lacks image, count", "its columns are id, x"]),
        ("id|image|count\na|b|1\n", "t.csv", ["lacks id, image, count", "separated by ','"]),
        (
            "id,image,count\na,b\nc,d,1\ne,f,1,2\n",
            "t.csv",
            ["row 2 has 2 cells, the header 3", "row 4 has 4 cells"],
        ),
        ("", "t.csv", ["empty"]),
        ("\n\n", "t.csv", ["empty; expected a header with id, image, count"]),
        ("id,image,count\n", "t.xlsx", [".csv (commas) or .tsv (tabs), not in '.xlsx'"]),
    ],
)
def test_refused(tmp_path, content, name, words):
    with pytest.raises(InputError) as refused:
        read_table(table(tmp_path, content, name), ["id", "image", "count"])
    assert str(tmp_path / name) in str(refused.value)
    for word in words:
        assert word in str(refused.value)


def test_files_that_are_none(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "link.csv").symlink_to("gone.csv")
    for name, word in (
        ("no.csv", "no such file"),
        ("folder.csv", "a folder"),
        ("link.csv", "leads to gone.csv"),
    ):
        with pytest.raises(InputError, match=word):
            read_table(tmp_path / name, ["id"])
    for encoding in ("utf-16", "utf-16-le", "latin-1"):
        with pytest.raises(InputError, match="UTF-8"):
            read_table(table(tmp_path, "id,ï\n", encoding=encoding), ["id"])
    (tmp_path / "circle.csv").symlink_to("circle.csv")
    for name in ("circle.csv", "long" * 100 + ".csv"):
        with pytest.raises(InputError):
            read_table(tmp_path / name, ["id"])


def test_writing_replaces_the_whole_file_or_nothing(tmp_path):
    path = tmp_path / "t.csv"
    write_table(path, ["a", "b"], [["1", 'say "x", y']])
    assert path.read_text() == 'a,b\n1,"say ""x"", y"\n'

    def breaking():
        yield ["2", "3"]
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_table(path, ["a", "b"], breaking())
    assert path.read_text().startswith("a,b\n1,")
    assert list(tmp_path.iterdir()) == [path]
