"""Lists of labels as spreadsheets and people save them: none is ignored in silence."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.data.labels import Labels, read_ids, read_labels
from training.data.matching import plain_id
from training.data.tables import read_table

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32")
IDS = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
    .map(plain_id)
    .filter(lambda id: id and id[0] not in "='")
)
SPLITS = ("train", "val", "test", "")


def saved(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    (path := folder / "labels.csv").write_bytes(text.encode(encoding))
    return path


def counts(labels: Labels) -> dict[str, int]:
    return {id: label.count for id, label in labels.labels.items()}


@st.composite
def tables(draw: st.DrawFn) -> tuple[dict[str, tuple[int, str]], str]:
    """Labels, and a text that a spreadsheet may save them as."""
    labels = draw(
        st.dictionaries(IDS, st.tuples(st.integers(0, 100_000), st.sampled_from(SPLITS)), min_size=1, max_size=6)
    )
    separator, end = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(("\r\n", "\n", "\r")))
    columns = draw(st.permutations(["id", "expected_quantity", "split", "note"]))
    blanks = draw(st.sampled_from(("", " ", "\u00a0", "\u200e", "\u2060", "\ufeff", "\u202a \t")))
    written = draw(st.sampled_from(("{}", "{}.0", "{}.00", " {} ", "0{}")))
    decorated = draw(st.sampled_from(("{}", "{}", '="{}"', "'{}")))
    rows = [draw(st.sampled_from((columns, [name.upper() for name in columns], [f" {name} " for name in columns])))]
    for id, (count, split) in labels.items():
        cells = {"id": f"{blanks}{decorated.format(id)}{blanks}", "expected_quantity": written.format(count)}
        cells |= {
            "split": split.title(),
            "note": draw(st.sampled_from(("", f"a{separator}b", 'say "x"', f"two{end}lines"))),
        }
        rows.append([cells[name] for name in columns])
        rows += [[""] * draw(st.integers(0, 6))] * draw(st.integers(0, 1))
    quoting = draw(st.sampled_from((csv.QUOTE_MINIMAL, csv.QUOTE_ALL)))
    csv.writer(text := io.StringIO(), delimiter=separator, lineterminator=end, quoting=quoting).writerows(rows)
    first = draw(st.sampled_from(("", f"sep={separator}{end}", f"{separator}{separator}{end}", end)))
    return labels, first + text.getvalue()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=tables(), encoding=st.sampled_from(ENCODINGS))
def test_every_label_is_read_however_the_list_is_saved(
    tmp_path: Path, table: tuple[dict[str, tuple[int, str]], str], encoding: str
) -> None:
    expected, text = table
    labels = read_labels(saved(tmp_path, text, encoding), list(expected))
    assert {id: (label.count, label.split) for id, label in labels.labels.items()} == expected
    assert not labels.faults
    assert not labels.matches.unmatched


def test_ids_are_strings(tmp_path: Path) -> None:
    labels = read_labels(saved(tmp_path, "id,expected_quantity\n00523,1\n523,2\n"), ["00523", "523"])
    assert counts(labels) == {"00523": 1, "523": 2}
    (listed := tmp_path / "ids.json").write_bytes(
        b'\xef\xbb\xbf{"1": ["data/metadata/00523.json"], "2": ["data/metadata/523.json"]}'
    )
    assert read_ids(listed) == ["00523", "523"]


def test_ids_that_lost_their_zeros_are_named_with_the_cure(tmp_path: Path) -> None:
    path = saved(tmp_path, "id,expected_quantity\n7,1\n8,2\n00009,3\n12345.0,4\nnobody,5\n")
    labels = read_labels(path, ["00007", "00008", "00009", "12345"])
    assert counts(labels) == {"00009": 3}
    advice = labels.matches.advice()
    assert advice.startswith("4 of 5 ids match no bin: 7 as 00007, 8 as 00008, 12345.0 as 12345, nobody. ")
    assert "leading zeros they would: format the column id as text" in advice


def test_a_list_of_none_of_the_bins_is_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, "id,expected_quantity\n7,1\n")
    with pytest.raises(ValueError, match=r"labels\.csv labels none of the 1 bins: 1 of 1 ids .* 7 as 00007"):
        read_labels(path, ["00007"])
    with pytest.raises(ValueError, match="it has no rows"):
        read_labels(saved(tmp_path, "id,expected_quantity\n"), ["1"])


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("5,three,", 'line 3: EXPECTED_QUANTITY is "three", not a whole number: write it as digits'),
        ("5,-1,", "line 3: EXPECTED_QUANTITY is -1: it must lie between 0 and 100,000"),
        ("5,,", 'line 3: EXPECTED_QUANTITY is "", not a whole number'),
        ("5", 'line 3: EXPECTED_QUANTITY is "", not a whole number'),
        ("5,3,training", "line 3: split is training, not one of train, val, test"),
        ("5,2,train,7", "line 3 has more cells than there are columns: 7"),
        ("5,3,\n5,4,", "line 4 differs from an earlier row of 5"),
    ],
)
def test_a_row_that_cannot_be_read_is_the_fault_of_its_bin_alone(tmp_path: Path, line: str, fault: str) -> None:
    labels = read_labels(saved(tmp_path, f"id,expected_quantity,split\n4,3,val\n{line}\n"), ["4", "5"])
    assert counts(labels) == {"4": 3}
    assert fault in labels.faults["5"]


def test_a_row_that_comes_twice_is_one(tmp_path: Path) -> None:
    assert counts(read_labels(saved(tmp_path, "id,expected_quantity\n4,3\n 4 ,3.0\n"), ["4"])) == {"4": 3}


@pytest.mark.parametrize(("cell", "count"), [("2,0", 2), ("2,00", 2), ("2,000", None), ("2,5", None), ("1e2", 100)])
def test_a_decimal_comma_is_one_and_thousands_are_not_guessed(tmp_path: Path, cell: str, count: int | None) -> None:
    labels = read_labels(saved(tmp_path, f"id;expected_quantity\n1;1\n2;{cell}\n"), ["1", "2"])
    assert counts(labels).get("2") == count
    assert ("2" in labels.faults) == (count is None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "has no column 'id': its columns are none"),
        ("bin,expected_quantity\n1,2\n", "has no column 'id': its columns are bin, expected_quantity"),
        ("id,expected_quantity,split,Split\n1,2,,\n", "has two columns 'split'"),
        ('id,expected_quantity\n"1,2\n3,4\n', "line 3 is no row of a CSV"),
        ("PK\x03\x04\x14", "is a workbook, not a CSV: save its sheet as CSV"),
    ],
)
def test_a_file_that_is_no_such_list_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        read_labels(saved(tmp_path, text), ["1"])


def test_ids_match_across_accents_and_a_list_in_another_encoding_is_named(tmp_path: Path) -> None:
    path = saved(tmp_path, "id;expected_quantity\nS\u00fcd;2\n\u0141\u00f3d\u017a;3\n1;1\n", "cp1250")
    labels = read_labels(path, ["S\u00fcd", "\u0141\u00f3d\u017a", "1"])
    assert counts(labels) == {"S\u00fcd": 2, "1": 1}
    assert "1 of 3 ids match no bin" in labels.matches.advice()
    decomposed = saved(tmp_path, "id;expected_quantity\nSu\u0308d;2\n")
    assert counts(read_labels(decomposed, ["S\u00fcd"])) == {"S\u00fcd": 2}


def test_what_our_own_writer_writes_is_read_as_it_was(tmp_path: Path) -> None:
    ids = [" a", "a;b", "a,b", 'a"b', "a\nb", "a\r\nb", "=1+1", "'x", "\u2028", "a|b\tc"]
    with (path := tmp_path / "index.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "expected_quantity"), *((id, 1) for id in ids)])
    assert [row.cells["id"] for row in read_table(path, ("id",))] == ids
    assert counts(read_labels(path, ids)) == dict.fromkeys(ids, 1)
