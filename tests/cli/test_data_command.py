"""`fdl data show` and `fdl data check`, and training on tables by flags."""

import numpy as np
from shell import complaint

from fdl.cli import main

IMAGES = np.random.default_rng(0).integers(256, size=(24, 9, 7, 3), dtype=np.uint8)
LABELS = np.arange(24) % 3


def test_show_and_check(tmp_path, capsys) -> None:
    good, bad = tmp_path / "good.npz", tmp_path / "bad.npz"
    np.savez(good, image=IMAGES, label=LABELS)
    np.savez(bad, x_train=IMAGES, y_train=LABELS, x_test=IMAGES[:3], y_test=LABELS[:3])
    sheet = tmp_path / "sheet.png"
    main(["data", "show", f"npz:{good}", "--to", str(sheet)])
    assert "train 20, test 4" in capsys.readouterr().out
    assert sheet.is_file()
    main(["data", "check", f"npz:{good}"])
    assert "good: no faults found (train 20, test 4)" in capsys.readouterr().out
    line = complaint(["data", "check", f"npz:{bad}"], capsys, code=1)
    assert "3 of 3 test examples are also train examples" in line
    assert "absent" in complaint(["data", "show", "csv:absent.csv"], capsys)
