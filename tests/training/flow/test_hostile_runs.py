"""Run folders that nobody vouches for: one clear line names the file and the fault."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from napari_usflow.errors import PriorError
from napari_usflow.prior.glow import GlowConfig
from napari_usflow.training.flow.configs import TrainConfig
from napari_usflow.training.flow.train import train_prior_events
from napari_usflow.training.run_folder import RunFolder

CONFIG = TrainConfig(
    flow=GlowConfig(patch_size=16, steps=(1,), hidden=(8,)),
    likelihood_steps=2,
    denoising_steps=0,
    batch_size=8,
    noise_groups=1,
    warmup_steps=1,
    validation_patches=8,
)


def _train(data: Path, out: Path, **options) -> None:
    for _ in train_prior_events(data, out=out, config=CONFIG, device="cpu", **options):
        pass


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes]]:
    """A small run that was trained once: its data, and what its folder held."""
    from toy_models import mri_folder

    folder = tmp_path_factory.mktemp("run")
    make = getattr(mri_folder, "__wrapped__", None) or mri_folder.__pytest_wrapped__.obj
    data = make(folder)
    _train(data, folder / "run")
    held = {
        str(path.relative_to(folder / "run")): path.read_bytes()
        for path in (folder / "run").rglob("*")
        if path.is_file() and "patches" not in path.parts
    }
    return data, held


@pytest.fixture
def run(finished: tuple[Path, dict[str, bytes]], tmp_path: Path) -> RunFolder:
    """A copy of it, which a test may damage."""
    for name, content in finished[1].items():
        path = tmp_path / "run" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return RunFolder(tmp_path / "run")


Change = Callable[[dict], object]


def _without(name: str) -> Change:
    return lambda state: state.pop(name)


def _with(name: str, value: object) -> Change:
    return lambda state: state.update({name: value})


def _broken_weights(value: float) -> Change:
    def change(state: dict) -> None:
        next(iter(state["average"].values())).view(-1)[0] = value

    return change


# 4 TB, of which the file has four bytes.
REPEATED = torch.zeros(1).expand(10**6, 10**6)

DAMAGE: dict[str, Change] = {
    "no step": _without("step"),
    "step as text": _with("step", "3"),
    "negative step": _with("step", -1),
    "absurd step": _with("step", 2**70),
    "step that is true": _with("step", 0.5),
    "no average": _without("average"),
    "average as a list": _with("average", []),
    "weights of nothing": _with("flow", {}),
    "no optimizer": _without("optimizer"),
    "empty optimizer": _with("optimizer", {}),
    "quality that is no JSON": _with("quality", "{"),
    "quality that is a list": _with("quality", "[1]"),
    "architecture that is no JSON": _with("architecture", "x"),
    "architecture that is a list": _with("architecture", "[1]"),
    "nested architecture": _with("architecture", "[" * 10**5),
    "weights of NaN": _broken_weights(float("nan")),
    "infinite weights": _broken_weights(float("inf")),
    "weights of one number": _with("average", {"a": REPEATED}),
    "optimizer of one number": _with("optimizer", {"state": [{"a": REPEATED}]}),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_is_one_line_with_its_name(finished, run, damage) -> None:
    path = run.checkpoints()[0].path
    state = torch.load(path, weights_only=True)
    DAMAGE[damage](state)
    torch.save(state, path)

    _refused(finished[0], run, path)


class _Runs:
    def __reduce__(self) -> object:
        return print, ("this must never be seen",)


@pytest.mark.parametrize("kind", ["pickle", "torch", "text", "nothing", "cut"])
def test_a_checkpoint_of_another_kind_is_refused(finished, run, kind, capsys) -> None:
    path = run.checkpoints()[0].path
    content = path.read_bytes()
    if kind == "torch":
        torch.save({"step": _Runs()}, path)
    else:
        path.write_bytes(
            {
                "pickle": pickle.dumps(_Runs()),
                "text": b"step 3",
                "nothing": b"",
                "cut": content[: len(content) // 2],
            }[kind]
        )

    _refused(finished[0], run, path)
    assert "never be seen" not in capsys.readouterr().out


def test_a_checkpoint_that_unpacks_to_more_is_refused_unpacked(finished, run) -> None:
    path = run.checkpoints()[0].path
    with zipfile.ZipFile(path) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in held.items():
            archive.writestr(name, content + bytes(2**28 * name.endswith("data.pkl")))

    _refused(finished[0], run, path, "in it is packed")


def _refused(data: Path, run: RunFolder, path: Path, said: str = "") -> None:
    with pytest.raises(PriorError, match="not a readable checkpoint") as caught:
        _train(data, run.path, resume=True)
    text = str(caught.value)
    assert str(path) in text and said in text and "\n" not in text and len(text) < 500
    # torch says how its protection is switched off.
    assert "weights_only" not in text and "torch.load" not in text


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "7",
        '"text"',
        "null",
        "{}",
        '{"step": "x"}',
        "[" * 10**5,
        '{"step": 1',
        "é",
    ],
)
def test_lines_of_a_log_that_are_none_are_left_out(run: RunFolder, line: str) -> None:
    before = run.records()
    with run.log.open("ab") as log:
        log.write(line.encode("latin-1") + b"\n")

    assert run.records() == before
    run.begin({}, 2)
    assert run.records() == before


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "[" * 10**5, '{"flow": 3}', '{"flow": []}']
)
def test_a_damaged_configuration_is_one_line_with_its_name(finished, run, text) -> None:
    run.config.write_text(text)

    with pytest.raises(
        ValueError, match=r"config\.json: not the configuration"
    ) as error:
        for _ in train_prior_events(
            finished[0], out=run.path, resume=True, device="cpu"
        ):
            pass
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["step-²", "step--1", "step-", "step-1e3", "step-x"])
def test_files_that_are_no_checkpoints_are_not_taken_for_one(run, name: str) -> None:
    before = run.checkpoints()
    for ending in (".pt", ".safetensors"):
        (run.path / "checkpoints" / f"{name}{ending}").write_bytes(b"")

    assert run.checkpoints() == before


def test_the_copy_of_the_run_is_whole(finished, run: RunFolder) -> None:
    _train(finished[0], run.path, resume=True)

    assert json.loads(run.config.read_text())["likelihood_steps"] == 2
