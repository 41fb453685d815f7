"""The table for people, and who is best in which time."""

from __future__ import annotations

from napari_usflow.lab.bench.scores import BenchScore, BenchTest, Size
from napari_usflow.lab.bench.tables import front, markdown, shown_size

NAN = float("nan")
PICTURES = {"white": "white noise", "speckle": "speckle"}


def line(method, seconds, psnr, size="96x96", *, workers=0, times=1.0, note=""):
    frames, rows, columns = Size.parse(size).shape
    quality = (20.0, 0.5, psnr, 0.75)
    rate = frames / seconds
    return BenchScore(
        method,
        frames,
        rows,
        columns,
        workers,
        seconds,
        rate,
        times,
        12.4,
        310.0,
        NAN,
        *quality,
        note,
    )


SCORES = [
    line("skimage-nlm", 0.01, 27.0),
    line("tv", 0.002, 26.0, times=0.2),
    line("flow", 1.2, 28.0, times=120.0),
    line("realtime", 0.02, 29.0, times=2.0),
]


def test_the_front_is_what_nothing_quicker_beats() -> None:
    best = front(SCORES, "speckle_psnr_db")

    assert [s.method for s in best] == ["tv", "skimage-nlm", "realtime"]


def test_what_was_not_measured_is_not_on_the_front() -> None:
    scores = [line("a", NAN, 40.0), line("b", 0.1, NAN), line("c", 0.2, 20.0)]

    assert [s.method for s in front(scores, "speckle_psnr_db")] == ["c"]


def test_of_two_as_good_the_quicker_is_on_the_front() -> None:
    scores = [line("slow", 2.0, 27.0), line("quick", 1.0, 27.0)]

    assert [s.method for s in front(scores, "speckle_psnr_db")] == ["quick"]


def test_the_size_shown_is_the_largest_that_all_ran_on() -> None:
    larger = [line(s.method, 16 * s.seconds, 27.0, "384x384") for s in SCORES]
    clip = [line(s.method, 200 * s.seconds, 27.0, "200x96x96") for s in SCORES]

    assert shown_size([*SCORES, *larger, *clip]) == Size.parse("384x384")
    assert shown_size([*SCORES, *larger[:-1], *clip]) == Size.parse("96x96")
    assert shown_size([]) is None


def test_a_line_a_method_the_quickest_first_and_the_best_in_bold() -> None:
    text = markdown(BenchTest(SCORES, "A machine", PICTURES))

    rows = [row.split(" | ") for row in text.splitlines() if row.startswith("| ")]
    assert [row[0] for row in rows[2:]] == [
        "| **`tv`**",
        "| **scikit-image NLM**",
        "| **`realtime`**",
        "| `flow`",
    ]
    assert rows[2][1:3] == ["2 ms (0.2)", "+12, 310 MiB"]
    assert rows[-1][1] == "1.2 s (120)"
    assert rows[-1][3] == "28.00 / 0.750"
    assert text.startswith("A machine.\n")


def test_what_was_left_out_is_told_below_the_table() -> None:
    left_out = line("flow", NAN, 28.0, "384x384", note="left out: about 200 s")
    scores = [*SCORES, line("tv", 0.03, 26.0, "384x384"), left_out]

    text = markdown(BenchTest(scores, "A machine", PICTURES))

    assert text.endswith("\n- flow, 384 × 384: left out: about 200 s\n")
    (row,) = [r for r in text.splitlines() if r.startswith("| `flow`")]
    assert row.split(" | ")[1:3] == ["1.2 s (120)", ""]


def test_workers_have_a_table_of_their_own() -> None:
    clip = line("tv", 0.4, 26.0, "20x96x96")
    scaled = [
        line("tv", 0.5, 26.0, "20x96x96", workers=1),
        line("tv", 0.25, 26.0, "20x96x96", workers=2),
    ]

    text = markdown(BenchTest([*SCORES, clip, *scaled], "A machine", PICTURES))

    assert (
        "| 20 frames of 96 × 96, frames/s | this process | 1 worker | 2 workers" in text
    )
    assert "| `tv` | 50 | 40 | 80 |" in text
