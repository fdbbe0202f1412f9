from math import inf

from mistakes import refused

from cytosuite.volume import memory


def test_idle_pages_of_files_count_as_free(monkeypatch):
    monkeypatch.delenv("CYTOSUITE_MEMORY_GIB", raising=False)
    files = {
        "/proc/meminfo": f"MemTotal: 9 kB\nMemAvailable: {4 * 2**20} kB\n",
        "/sys/fs/cgroup/memory.max": f"{3 * 2**30}\n",
        "/sys/fs/cgroup/memory.current": f"{2 * 2**30}\n",
        "/sys/fs/cgroup/memory.stat": f"anon 7\ninactive_file {2**29}\n",
    }
    monkeypatch.setattr(memory.Path, "read_text", lambda path: files[str(path)])
    assert memory.free_gib() == 1.25  # a quarter is left for libraries
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    assert memory.free_gib() == 4.0


def test_the_limit_of_the_caller_counts_less_the_memory_in_use(monkeypatch):
    before = memory.free_gib()
    monkeypatch.setenv("CYTOSUITE_MEMORY_GIB", "2.5")
    assert memory.free_gib() < 2.5
    assert memory.free_gib() <= before


def test_a_file_larger_than_the_memory_is_refused(monkeypatch):
    monkeypatch.setattr(memory, "free_gib", lambda: 2.0)
    memory.check_room(2**31)
    refused("^needs 3 GiB of memory, 2 GiB are free; crop it", memory.check_room, 3 * 2**30)
    monkeypatch.setattr(memory, "free_gib", lambda: inf)
    memory.check_room(2**80)


def test_pixels_are_at_most_so_many_times_their_files():
    memory.check_declared(memory.DECLARED, [])  # whatever its size
    memory.check_declared(2**40, [2**24, 2**24])
    refused(
        "claims 1.02e.03 GiB of pixels in 1000 bytes, more than 32768",
        memory.check_declared,
        2**40,
        [400, 600],
    )
