import pytest

from inventory.bins import Bin, is_name, locate
from inventory.errors import RejectedUpload


@pytest.mark.parametrize(
    ("key", "bin", "part"),
    [
        ("bin-images/523.jpg", Bin("", "523"), "image"),
        ("bin-images/00523.JPEG", Bin("", "00523"), "image"),
        ("metadata/523.json", Bin("", "523"), "metadata"),
        ("BOS1/bin-images/a b+c.png", Bin("BOS1", "a b+c"), "image"),
        ("eu/köln/metadata/1.2.json", Bin("eu/köln", "1.2"), "metadata"),
        ("metadata/metadata/7.json", Bin("metadata", "7"), "metadata"),
        ("../bin-images/...jpg", Bin("..", ".."), "image"),
        ("bin-images/%2e%2e%2f1.jpg", Bin("", "%2e%2e%2f1"), "image"),
        ("bin-images/1\0\n.jpg", Bin("", "1\0\n"), "image"),
        ("\n/metadata/ 1 .json", Bin("\n", " 1 "), "metadata"),
        ("bin-images/\u202e漢.jpg", Bin("", "\u202e漢"), "image"),
        (f"bin-images/{'x' * 1009}.jpg", Bin("", "x" * 1009), "image"),
    ],
)
def test_a_key_names_its_bin_and_part(key, bin, part):
    assert locate(key) == (bin, part)
    assert key.lower() in [candidate.lower() for candidate in bin.keys(part)]


@pytest.mark.parametrize(
    "key",
    [
        *(
            "523.jpg",
            "bin-images/523.gif",
            "bin-images/.jpg",
            "metadata/523.jpg",
            "Bin-Images/1.jpg",
            "bin-images/a/1.jpg",
        ),
        *("bin-images/../1.jpg", "bin-images/1.jpg ", "bin-images/1.jpg\n", "bin-images/1.jpg\0", "bin-images%2F1.jpg"),
    ],
)
def test_a_key_without_a_place_is_rejected_with_the_layout(key):
    with pytest.raises(RejectedUpload, match=r"bin-images/<id>.jpg"):
        locate(key)


def test_ids_are_strings():
    assert locate("bin-images/523.jpg") != locate("bin-images/00523.jpg")


@pytest.mark.parametrize("length", range(160, 180))
def test_all_files_of_a_bin_have_one_spelling_of_its_name_and_no_key_is_too_long(length):
    """U+0958 takes three bytes, six when it is composed, and no more when it is decomposed."""
    for id in ("\u0958" * length, "\u0958" * length + "x", "\u0958" * length + "xx"):
        bins = {locate(key)[0] for key in (f"bin-images/{id}.jpeg", f"bin-images/{id}.png", f"metadata/{id}.json")}
        (bin,) = bins
        for part in ("image", "metadata"):
            assert all(is_name(text) for text in (*bin.keys(part), *bin.beginnings(part)))
            assert {locate(key)[0] for key in bin.keys(part)} == bins
