"""After a kill nobody knows whether the last label came out; of all others it is known."""

from support.disks import takes_nothing
from support.stores import fact, label, opened, put


async def doubtful_after(folder, *actions: str) -> str | None:
    """What is in doubt after a station did this and was started anew. "out" is the note that the
    label before came out.
    """
    async with opened(folder) as store:
        for number, action in enumerate(actions):
            if action == "out":
                await store.labels.is_out(f"label {number - 1}")
            else:
                await store.outbox.put("label", label(f"label {number}", action))
    async with opened(folder) as store:
        found = store.labels.doubtful()
        return None if found is None else found.label


async def test_a_label_that_came_out_is_in_no_doubt(tmp_path):
    assert await doubtful_after(tmp_path, "print", "out") is None


async def test_a_label_of_which_nothing_more_is_known_is_in_doubt(tmp_path):
    assert await doubtful_after(tmp_path, "print", "out", "print") == "label 2"


async def test_a_label_that_was_voided_is_in_no_doubt(tmp_path):
    assert await doubtful_after(tmp_path, "print", "void") is None


async def test_a_reprint_puts_no_label_in_doubt(tmp_path):
    assert await doubtful_after(tmp_path, "print", "out", "reprint") is None


async def test_other_facts_after_it_hide_nothing(tmp_path):
    async with opened(tmp_path) as store:
        await store.outbox.put("label", label("a"))
        for _ in range(30):
            await store.outbox.put("button", label("b"))
    async with opened(tmp_path) as store:
        found = store.labels.doubtful()
        assert found == label("a")


async def test_hundreds_of_facts_after_it_hide_nothing_either(tmp_path):
    async with opened(tmp_path) as store:
        await store.outbox.put("label", label("a"))
        await put(store.outbox, 499)
    async with opened(tmp_path) as store:
        assert store.labels.doubtful() == label("a")


async def test_a_note_that_the_disk_does_not_take_is_a_doubt_and_no_error(tmp_path):
    async with opened(tmp_path) as store:
        await store.outbox.put("label", label("a"))
        with takes_nothing():
            await store.labels.is_out("a")
        assert store.labels.doubtful() == label("a")


async def test_a_label_of_another_version_is_in_no_doubt(tmp_path):
    async with opened(tmp_path) as store:
        await store.outbox.put("label", label("a"))
        await store.outbox.put("label", fact())  # not what this version calls a label
        assert store.labels.doubtful() is None


async def test_without_labels_there_is_no_doubt(tmp_path):
    assert await doubtful_after(tmp_path) is None
