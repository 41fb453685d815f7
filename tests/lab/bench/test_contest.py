"""The benchmark as a whole: what is timed, how often, and what is left out."""

from __future__ import annotations

import pytest

from napari_usflow.errors import Cancelled
from napari_usflow.evaluate.tables import Scored
from napari_usflow.jobs import CancelToken, Note, Progress, result_of
from napari_usflow.lab.bench import contest
from napari_usflow.lab.bench import measurements as cells
from napari_usflow.lab.bench.measurements import BenchParams
from napari_usflow.lab.bench.process import NotRun


def lines(test):
    return {(s.method, s.size.label): s for s in test.scores}


def test_times_are_multiples_of_those_of_nlm_in_the_same_run(bench) -> None:
    test = result_of(bench.run(sizes=["32x32", "4x32x32"]))

    found = lines(test)
    assert found["srad", "32 × 32"].seconds == pytest.approx(40e-6 * 1024)
    assert found["srad", "32 × 32"].times_nlm == pytest.approx(4)
    assert found["tv", "32 × 32"].times_nlm == pytest.approx(0.2)
    assert found["skimage-nlm", "32 × 32"].times_nlm == 1
    clip = found["tv", "4 frames of 32 × 32"]
    assert clip.times_nlm == pytest.approx(0.2)
    assert clip.frames_per_second == pytest.approx(1 / (2e-6 * 1024))


def test_the_smallest_time_counts_of_the_process_and_the_turns(bench, monkeypatch):
    monkeypatch.setattr(cells, "TURN_S", 0.0)
    bench.costs |= {"tv": [5.0, 3.0, 4.0], "srad": [6.0, 7.0, 9.0]}

    found = lines(result_of(bench.run(params=BenchParams(repeats=2))))

    assert found["tv", "32 × 32"].seconds == pytest.approx(3e-6 * 1024)
    assert found["srad", "32 × 32"].seconds == pytest.approx(6e-6 * 1024)


def test_methods_take_turns(bench, monkeypatch) -> None:
    monkeypatch.setattr(cells, "TURN_S", 0.0)

    result_of(bench.run(params=BenchParams(repeats=2, count=1)))

    timed = [name for name, shape in bench.turns if shape == (1, 32, 32)]
    assert timed == 2 * ["skimage-nlm", "tv", "srad"]
    assert bench.apart == [(name, "32 × 32") for name in timed[:3]]


def test_what_is_quick_is_repeated_in_its_turn(bench, monkeypatch) -> None:
    # A run of tv takes 2 ms of 1024 pixels, so the sixth ends after 10 ms.
    monkeypatch.setattr(cells, "TURN_S", 0.011)
    bench.costs["tv"] = [2e-3 / 1024e-6]

    result_of(bench.run(methods=["tv"], params=BenchParams(repeats=1)))

    assert bench.turns.count(("tv", (1, 32, 32))) == 6


def test_what_takes_long_is_run_once_and_after_the_others(bench, monkeypatch) -> None:
    monkeypatch.setattr(cells, "LONG_S", 0.1)

    result_of(bench.run(methods=["srad", "tv"], sizes=["32x32", "64x64"]))

    second = [name for name, label in bench.apart if label == "64 × 64"]
    assert second == ["skimage-nlm", "tv", "srad"]
    assert ("tv", (1, 64, 64)) in bench.turns
    assert ("srad", (1, 64, 64)) not in bench.turns


def test_what_would_take_too_long_is_not_begun(bench) -> None:
    """40 us a pixel: 0.16 s for 64 x 64, 0.66 s for 128 x 128."""
    params = BenchParams(limit=0.5, count=1)

    test = result_of(bench.run(sizes=["128x128", "32x32", "64x64"], params=params))

    found = lines(test)
    assert found["srad", "64 × 64"].timed
    left_out = found["srad", "128 × 128"]
    assert not left_out.timed
    assert left_out.note == "left out: about 0.66 s, and the limit is 0.5 s"
    assert ("srad", "128 × 128") not in bench.apart
    assert found["tv", "128 × 128"].timed


def test_clips_are_foretold_by_frames_of_their_size(bench) -> None:
    """96 x 96 costs twice as much a pixel here as the clip's small frames."""
    bench.costs["srad"] = [40.0]
    params = BenchParams(limit=0.5, count=1)

    test = result_of(bench.run(sizes=["32x32", "96x96", "10x32x32"], params=params))

    assert lines(test)["srad", "10 frames of 32 × 32"].timed
    shown = [label for name, label in bench.apart if name == "srad"]
    assert shown == ["32 × 32", "96 × 96", "10 frames of 32 × 32"]


def test_what_failed_is_not_tried_on_larger_stacks(bench) -> None:
    bench.failing["srad", "64 × 64"] = NotRun("failed: no memory")

    events = list(bench.run(sizes=["32x32", "64x64", "96x96"]))

    found = {(e.score.method, e.score.rows): e.score for e in events if is_line(e)}
    assert found["srad", 64].note == "failed: no memory"
    assert found["srad", 96].note == "left out: 64 × 64 failed: no memory"
    assert found["tv", 96].timed
    assert ("srad", "96 × 96") not in bench.apart
    assert Note("64 × 64, srad: failed: no memory") in events


def is_line(event) -> bool:
    return isinstance(event, Scored)


def test_quality_is_measured_once_and_stands_in_every_line(bench) -> None:
    test = result_of(bench.run(sizes=["32x32", "64x64"], params=BenchParams(count=2)))

    pictures = [name for name, shape in bench.turns if shape == (2, 96, 96)]
    assert sorted(pictures) == sorted(2 * ["skimage-nlm", "tv", "srad"])
    # 0.02 off everywhere is 34 dB of white noise; under speckle an offset is fitted.
    for score in test.scores:
        assert score.white_psnr_db == pytest.approx(33.98, abs=0.01)
        assert score.speckle_psnr_db > 60
    assert test.pictures["speckle"] == "simulated speckle on 2 made scenes"


def test_quality_that_would_take_too_long_is_left_out(bench) -> None:
    params = BenchParams(limit=0.3, count=2)

    found = lines(result_of(bench.run(params=params)))

    # 40 us a pixel and four pictures of 96 x 96
    assert found["srad", "32 × 32"].note == "no quality: about 1.5 s"
    assert found["srad", "32 × 32"].speckle_psnr_db != found["srad", "32 × 32"].seconds
    assert found["srad", "32 × 32"].timed
    assert found["tv", "32 × 32"].speckle_psnr_db > 60


def test_events_count_up_and_give_every_line(bench) -> None:
    events = list(bench.run(sizes=["32x32", "64x64"]))

    shares = [e.done / e.total for e in events if isinstance(e, Progress)]
    # What is simulated first is a step of its own.
    begun = next(i for i, e in enumerate(events) if is_line(e))
    later = [e for e in events[begun:] if isinstance(e, Progress)]
    assert [e.done / e.total for e in later] == sorted(e.done / e.total for e in later)
    assert max(shares) <= 1
    assert sum(map(is_line, events)) == 6


def test_workers_are_timed_on_the_longest_clip(bench, monkeypatch) -> None:
    asked = []

    def fake(method, size, workers, **_):
        asked.append((method, size.label, workers))
        yield Progress(1, 1)
        return 0.5 / workers

    monkeypatch.setattr(cells, "workers_events", fake)
    monkeypatch.setattr(contest, "cluster_missing", lambda: "")

    sizes = ["32x32", "2x32x32", "8x32x32"]
    test = result_of(bench.run(sizes=sizes, workers=[2, 1], scaled=["tv", "flow"]))

    clip = "8 frames of 32 × 32"
    assert asked == [("tv", clip, 1), ("tv", clip, 2)]
    one, two = test.scores[-2:]
    assert (one.workers, two.workers) == (1, 2)
    assert (one.frames_per_second, two.frames_per_second) == (16, 32)
    assert one.added_mib != one.added_mib


def test_without_the_packages_there_are_no_workers_and_it_is_said(
    bench, monkeypatch
) -> None:
    monkeypatch.setattr(contest, "cluster_missing", lambda: "zarr")

    run = bench.run(sizes=["32x32", "8x32x32"], workers=[1], scaled=["tv"])
    events = list(run)

    said = "not timed with workers: zarr not installed (extra 'cluster')"
    assert Note(said) in events
    assert not any(e.score.workers for e in events if is_line(e))


def test_cancel_ends_the_run_and_the_lines_before_it_are_known(bench) -> None:
    token, known = CancelToken(), []

    with pytest.raises(Cancelled):
        for event in bench.run(sizes=["32x32", "64x64"], token=token):
            if is_line(event):
                known.append(event.score)
                token.cancel()

    assert [s.rows for s in known] == [32] * len(known)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"methods": ["magic"]}, "no method 'magic'"),
        ({"methods": []}, "at least one method"),
        ({"methods": ["epll"]}, "name a folder of MRI with --train-data"),
        ({"sizes": []}, "at least one size"),
        ({"sizes": ["large"]}, "'large' is no size"),
        ({"workers": [0]}, "workers must be at least 1, got 0"),
    ],
)
def test_what_cannot_be_measured_is_refused(bench, monkeypatch, change, said) -> None:
    from napari_usflow.lab.contest import peers

    monkeypatch.setattr(peers, "find_spec", lambda name: True)

    with pytest.raises(ValueError, match=said):
        next(bench.run(**change))


def test_threads_of_torch_are_set_back(bench) -> None:
    import torch

    before = torch.get_num_threads()
    seen = []

    for event in bench.run(params=BenchParams(threads=before + 1, count=1)):
        seen.append((event, torch.get_num_threads()))

    assert {threads for _, threads in seen} == {before + 1}
    assert torch.get_num_threads() == before
