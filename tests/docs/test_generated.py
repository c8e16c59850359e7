"""The pages that are written from the code are the ones in the repository."""

import shutil

from tests.docs.conftest import ROOT


def test_the_generated_pages_are_the_committed_ones(reader):
    checked = reader.run(str(ROOT / "docs" / "generate.py"), "--check")

    assert (0, "", "") == (checked.returncode, checked.stdout, checked.stderr)


def test_a_difference_is_named_and_nothing_is_written(reader):
    copy = reader.folder / "copy"
    shutil.copytree(ROOT / "docs", copy / "docs")
    for name in ("plugins", "examples", "specs", "tests"):
        (copy / name).symlink_to(ROOT / name, target_is_directory=True)
    (copy / "docs" / "lifecycle.md").write_text("# Out of date\n")

    checked = reader.run(str(copy / "docs" / "generate.py"), "--check")

    assert (1, "docs/lifecycle.md differs; run: python docs/generate.py\n") == (checked.returncode, checked.stdout)
    assert "# Out of date\n" == (copy / "docs" / "lifecycle.md").read_text()
