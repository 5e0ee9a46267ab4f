"""The documentation's pictures: each one that is shown is there, and none lies about unseen."""

from pathlib import Path

from tests.documents import PICTURE, ROOT

IMAGES = ROOT / "docs" / "images"
LARGEST = 400_000  # bytes: a reader on a phone waits for them


def _shown() -> set[Path]:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    return {
        (page.parent / target).resolve()
        for page in pages
        for target in PICTURE.findall(page.read_text("utf-8"))
        if "://" not in target
    }


def test_every_picture_that_is_shown_is_there_and_every_one_there_is_shown() -> None:
    assert _shown() == set(IMAGES.iterdir())


def test_every_picture_is_described_for_those_who_do_not_see_it() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    assert [page.name for page in pages if "![](" in page.read_text("utf-8")] == []


def test_no_picture_is_heavy() -> None:
    assert {path.name for path in IMAGES.iterdir() if path.stat().st_size > LARGEST} == set()
