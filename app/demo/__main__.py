"""`python -m app.demo`: train, and write the lesson to standard output (app/demo/lesson.py)."""

import sys

import msgspec

from app.demo.lesson import Lesson
from app.demo.models import train
from app.demo.training import runs

if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(Lesson(train(), list(runs()))))
