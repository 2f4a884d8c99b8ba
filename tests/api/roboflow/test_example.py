"""The vendor's printed example, to the last digit, from inferences of both periods."""

import json
from decimal import Decimal
from pathlib import Path

from tests.api.roboflow_given import DAY, PERIOD, accepted, inference, post, stats

EXAMPLE = Path(__file__).with_name("example.json").read_text()
CARDS, HATS, COCO = "cards-3z9gn/4", "hard-hat-sample-8j2w3/2", "coco/3"
PLATES = "license-plate-recognition-rxg4e/4"


def spread(mean, median, n):
    """n confidences of this mean, exactly, and with this median in the middle."""
    half = n // 2
    mean, median = Decimal(mean), Decimal(median)
    rest = mean * n - median
    low, high = Decimal("0.92"), (rest - half * Decimal("0.92")) / half
    last = rest - half * low - (half - 1) * round(high, 15)
    return [float(c) for c in [low] * half + [median] + [round(high, 15)] * (half - 1) + [last]]


def now():
    """211 detections in 106 inferences and one that found nothing; 22 in 11; 2 in 2."""
    confidences = spread("0.931105958703923", "0.9268901944160461", 211)
    for number in range(106):
        found = [("Playingcards", c) for c in confidences[2 * number : 2 * number + 2]]
        version = "0.15.3" if number % 2 else "0.16.0"
        yield inference(CARDS, *found, seconds=0.176652773857811, version=version)
    yield inference(CARDS)
    for _ in range(11):
        car = ("car", 0.91790372133255)
        yield inference(COCO, car, car, seconds=0.0647244118180817, version="0.15.3")
    for _ in range(2):
        plate = ("License_Plate", 0.8706022202968597)
        yield inference(PLATES, plate, seconds=0.07911215199999333, version="0.15.3")


def before():
    """380 detections in 190 inferences; 100 inferences with a head and a helmet each."""
    at = PERIOD - DAY
    for _ in range(190):
        card = ("Playingcards", 0.935741652940449)
        yield inference(CARDS, card, card, at=at, seconds=0.05487422056841488, version="0.15.1")
    for _ in range(100):
        hats = ("head", 0.6933842897415161), ("helmet", 0.7451311349868774)
        yield inference(HATS, *hats, at=at, seconds=0.021951598459972955, version="0.15.1")


def test_the_printed_example(client, workspace):
    assert accepted(post(client, *now())) == (120, 0)
    assert accepted(post(client, *before())) == (290, 0)

    answer = stats(client, workspace)
    assert json.dumps(answer, indent=2) == EXAMPLE.strip()
