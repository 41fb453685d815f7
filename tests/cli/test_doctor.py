"""``usflow doctor``: what it finds, and what it says to do."""

from __future__ import annotations

import json
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

import napari_usflow as usf
from napari_usflow.cli import doctor, main
from napari_usflow.cli.doctor import CHECKS, Check


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> dict[str, Check]:
    """Outcomes in place of the checks, to be changed by a test."""
    outcomes = {name: Check(name, "ok", "fine") for name in CHECKS}
    for name in CHECKS:
        monkeypatch.setitem(CHECKS, name, lambda name=name: outcomes[name])
    return outcomes


def without(monkeypatch: pytest.MonkeyPatch, *absent: str) -> None:
    """Make packages look as if they were not installed."""
    installed = doctor._version
    monkeypatch.setattr(
        doctor, "_version", lambda name: None if name in absent else installed(name)
    )


def test_report_of_a_working_installation_is_one_screen(capsys, monkeypatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("QT_QPA_PLATFORM", raising=False)

    assert main(["doctor"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    words = [line.split() for line in lines[: lines.index("", 2)]]
    marks = {line[1]: line[0] for line in words if len(line) > 1 and line[1] in CHECKS}
    assert list(marks) == list(CHECKS)
    assert marks["torch"] == marks["weights"] == marks["self-test"] == "ok"
    assert lines[-1] == "Everything that is installed works."


def test_json_has_states_and_versions_and_no_paths(quick, capsys) -> None:
    assert main(["doctor", "--json"]) == 0

    text = capsys.readouterr().out
    report = json.loads(text)
    assert report["ok"] and report["usflow"] == usf.__version__
    assert [check["name"] for check in report["checks"]] == list(CHECKS)
    assert report["packages"]["numpy"] == metadata.version("numpy")
    assert str(Path.home()) not in text


def test_something_broken_gives_advice_and_exit_code_1(quick, capsys) -> None:
    quick["torch"] = Check("torch", "broken", "no kernel", "install another build")

    assert main(["doctor"]) == 1

    text = capsys.readouterr().out
    assert "BROKEN  torch      no kernel" in text
    assert "  torch: install another build" in text
    assert "usflow doctor --json" in text
    assert main(["doctor", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_something_optional_is_no_fault(quick, capsys) -> None:
    quick["ffmpeg"] = Check("ffmpeg", "absent", "not installed", "pip install it")

    assert main(["doctor"]) == 0
    assert "    --  ffmpeg     not installed" in capsys.readouterr().out


def test_check_that_fails_is_a_finding(quick, monkeypatch, capsys) -> None:
    def fails() -> Check:
        raise OSError("libtorch_cpu.so: cannot open shared object file")

    monkeypatch.setitem(CHECKS, "torch", fails)

    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert "BROKEN  torch      OSError: libtorch_cpu.so" in text
    assert "self-test" in text


def test_missing_packages_are_named(monkeypatch) -> None:
    without(monkeypatch, "scipy", "h5py")

    check = doctor._packages()

    assert (check.state, check.text) == ("broken", "missing: h5py, scipy")
    assert check.advice == "pip install h5py scipy"


def test_missing_extra_is_named_with_its_command(monkeypatch) -> None:
    without(monkeypatch, "hdf5plugin", "imageio-ffmpeg")

    check = doctor._extras()

    assert check.state == "absent"
    assert check.advice == 'pip install "napari-usflow[video,zea]"'
    assert "video" not in check.text.split(";")[0]
    assert doctor._ffmpeg().state == "absent"


def test_extra_that_cannot_be_loaded_is_broken(monkeypatch) -> None:
    def load(name: str) -> object:
        raise ImportError("libssl.so.3: no such file")

    monkeypatch.setattr(doctor, "import_module", load)

    check = doctor._extras()

    assert check.state == "broken" and "libssl.so.3" in check.text


def test_server_without_napari_works(monkeypatch) -> None:
    without(monkeypatch, "napari")

    assert doctor._napari().state == doctor._window().state == "absent"


def test_shipped_weights_have_the_hash_of_their_card() -> None:
    hashes = doctor.shipped_weights()

    assert hashes.keys() == {"mri", "paper-small", "realtime", "realtime-white"}
    for name, (digest, stated) in hashes.items():
        assert digest == stated, f"renew the SHA-256 row of {name}.md: {digest}"


def test_damaged_weights_are_named(monkeypatch) -> None:
    hashes = {"mri": ("a", "a"), "realtime": ("a", "b")}
    monkeypatch.setattr(doctor, "shipped_weights", lambda: hashes)

    check = doctor._weights()

    assert (check.state, check.text) == ("broken", "damaged: realtime")
    assert "reinstall" in check.advice


def test_self_test_notices_a_denoiser_that_does_nothing(monkeypatch) -> None:
    monkeypatch.setattr(usf, "denoise", lambda image: image)

    check = doctor._self_test()

    assert check.state == "broken"
    assert check.text.startswith("speckle 5.")


@pytest.mark.parametrize(
    ("change", "state", "said"),
    [
        ({}, "ok", "PyQt6 6.8 on xcb, OpenGL 4.5, llvmpipe, font DejaVu Sans"),
        ({"opengl": ""}, "broken", "no OpenGL"),
        ({"font": ""}, "broken", "no fonts"),
    ],
)
def test_window_is_judged_by_what_qt_found(change, state: str, said: str) -> None:
    found = {
        "binding": "PyQt6",
        "qt": "6.8",
        "platform": "xcb",
        "font": "DejaVu Sans",
        "opengl": "4.5, llvmpipe",
    }

    check = doctor._window_outcome(0, json.dumps(found | change), "")

    assert check.state == state and said in check.text
    assert bool(check.advice) == (state == "broken")


def test_qt_that_ends_its_process_is_reported(monkeypatch) -> None:
    said = "qt.qpa: could not load xcb\nThis application failed to start\n\n"
    monkeypatch.setenv("DISPLAY", ":99")
    monkeypatch.setattr(doctor, "_version", lambda name: "0.9")
    monkeypatch.setattr(
        subprocess,
        "run",
        lambda *_, **__: subprocess.CompletedProcess([], -6, "", said),
    )

    check = doctor._window()

    assert check.state == "broken"
    assert check.text == "Qt: This application failed to start"
