"""No reader of what comes from outside breaks, whatever comes: the kept corpus, and new inputs for a bounded time."""

from __future__ import annotations

import random

import pytest

from tests.fuzz.inputs import kept, tried
from tests.fuzz.readers import READERS

SECONDS = 2.0
CASES = [(reader, name) for reader in READERS for name in kept(reader)]


@pytest.mark.parametrize(("reader", "name"), CASES)
def test_an_input_of_the_corpus_does_no_harm(reader: str, name: str) -> None:
    READERS[reader](kept(reader)[name])


@pytest.mark.parametrize("reader", READERS)
def test_new_inputs_do_no_harm(reader: str) -> None:
    """One that does is kept in tests/fuzz/corpus: commit it with the mend."""
    assert tried(reader, SECONDS, random.Random()) > 0
