"""What holds for datasets of any size: in slabs on disk they are as in memory."""

import pytest

from cytosuite.volume import memory


@pytest.fixture
def hold_on_disk(monkeypatch, tight, tmp_path):
    """Return a function that makes a sample again on disk, in slabs of so many voxels."""

    def hold(make, voxels):
        whole = make()
        tight()
        monkeypatch.setattr("cytosuite.bodies.grid.SLAB", voxels)
        monkeypatch.setenv(memory.SCRATCH, str(tmp_path))
        slabs = make()
        assert (slabs.metadata, slabs.conditions) == (whole.metadata, whole.conditions)
        before, after = ({**sample.sockets, **sample.extras} for sample in (whole, slabs))
        assert set(before) == set(after)
        for name, volume in after.items():
            assert volume.array.tobytes() == before[name].array.tobytes(), name
            assert memory.is_mapped(volume.array), name
        assert not any(tmp_path.iterdir())  # files without a name

    return hold
