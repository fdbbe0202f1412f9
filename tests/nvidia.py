"""A machine with GPUs, as NVIDIA's management library tells of it."""

# ruff: noqa: N802 - names of the library

from types import SimpleNamespace


class FakeNvml:
    """The calls of the library that are used; `cards` are dictionaries, in order of the bus."""

    def __init__(self, real, cards, error=None):
        self.real, self.cards, self.error, self.open = real, cards, error, 0

    def __getattr__(self, name):
        return getattr(self.real, name)  # numbers and classes of errors

    def nvmlInit(self):
        if self.error is not None:
            raise self.real.NVMLError(self.error)
        self.open += 1

    def nvmlShutdown(self):
        self.open -= 1

    def nvmlSystemGetDriverVersion(self):
        return "550.54"

    def nvmlDeviceGetCount(self):
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, number):
        if self.cards[number].get("denied"):
            raise self.real.NVMLError(self.real.NVML_ERROR_NO_PERMISSION)
        return self.cards[number]

    def nvmlDeviceGetHandleByUUID(self, uuid):
        parts = [part for card in self.cards for part in (card, *card.get("parts", ()))]
        return next(part for part in parts if part["uuid"] == uuid)

    def nvmlDeviceGetMigMode(self, card):
        if "parts" not in card:
            raise self.real.NVMLError(self.real.NVML_ERROR_NOT_SUPPORTED)
        return [self.real.NVML_DEVICE_MIG_ENABLE, 1]

    def nvmlDeviceGetMaxMigDeviceCount(self, card):
        return 7

    def nvmlDeviceGetMigDeviceHandleByIndex(self, card, number):
        if number >= len(card["parts"]):
            raise self.real.NVMLError(self.real.NVML_ERROR_NOT_FOUND)
        return card["parts"][number]

    def nvmlDeviceGetUUID(self, card):
        return card["uuid"]

    def nvmlDeviceGetName(self, card):
        return card.get("name", "NVIDIA L4")

    def nvmlDeviceGetMemoryInfo(self, card):
        return _Memory(card)

    def nvmlDeviceGetUtilizationRates(self, card):
        if "busy" not in card:
            raise self.real.NVMLError(self.real.NVML_ERROR_NOT_SUPPORTED)
        return SimpleNamespace(gpu=_number(card["busy"]))


class _Memory:
    """Memory of a card; a changing use changes with each look."""

    def __init__(self, card):
        self.card, self.total = card, card.get("total", 2**34)

    @property
    def used(self):
        return _number(self.card.get("used", 0))


def _number(value):
    return value() if callable(value) else value
