"""Thresholds and random values: 56 bits; a span is sampled where the threshold is not above the random value."""

RANDOM_VALUE_BITS = 56
MIN_THRESHOLD = 0  # all spans
MAX_THRESHOLD = 1 << RANDOM_VALUE_BITS  # no span
MAX_RANDOM_VALUE = MAX_THRESHOLD - 1
INVALID_THRESHOLD = -1
INVALID_RANDOM_VALUE = -1


def calculate_threshold(sampling_probability):
    return MAX_THRESHOLD - round(sampling_probability * float(MAX_THRESHOLD))


def is_valid_threshold(threshold):
    return MIN_THRESHOLD <= threshold <= MAX_THRESHOLD


def is_valid_random_value(random_value):
    return 0 <= random_value <= MAX_RANDOM_VALUE
