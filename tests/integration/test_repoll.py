"""What is polled once a minute is asked for as soon as its device answers again."""

from itertools import pairwise

from homeassistant.core import ServiceCall
from homeassistant.exceptions import HomeAssistantError
import pytest

from tests.integration.house import FEED_IN_TODAY, PREFIX, House

TOTAL = f"{PREFIX}total_energy_feed_to_grid_meter"
POWERS = ("power_grid", "power_battery", "current_pv_production", "current_house_load")
FAST = tuple(f"{PREFIX}{name}" for name in (*POWERS, "dispatch_start", "soc_battery"))
COUNTERS = (FEED_IN_TODAY, f"{PREFIX}today_s_energy_from_pv")


class Polls:
    """Stands in for `homeassistant.update_entity`; notes when and for what it is asked."""

    def __init__(self, house: House, *, answers: bool = True, raises: bool = False) -> None:
        self.house = house
        self.answers, self.raises = answers, raises
        self.asked: list[tuple[float, list[str]]] = []
        house.hass.services.async_register("homeassistant", "update_entity", self._poll)

    async def _poll(self, call: ServiceCall) -> None:
        self.asked.append((self.house.plant.elapsed_s, list(call.data["entity_id"])))
        if self.raises:
            raise HomeAssistantError("no bus")
        if self.answers:
            self.house.show()


async def test_a_counter_that_missed_the_links_return_is_polled_at_once(ready: House) -> None:
    polls = Polls(ready)
    ready.hide(*COUNTERS, *FAST)
    await ready.advance(65)
    assert polls.asked == []  # nobody answers: the poll would only wait
    assert ready.entity("system_health") != "Healthy"
    back = ready.plant.elapsed_s
    ready.hidden -= set(FAST)
    await ready.advance(70, until=lambda: ready.entity("system_health") == "Healthy")
    # By the first trial of the update circuit, which opens a minute anew where data is missing.
    assert ready.entity("system_health") == "Healthy"
    assert polls.asked[0][0] - back <= 10
    assert set(polls.asked[0][1]) == set(COUNTERS)
    await ready.advance(120)
    assert len(polls.asked) == 1


async def test_it_is_asked_for_once_a_minute_at_most(ready: House) -> None:
    polls = Polls(ready, answers=False)
    ready.hide(FEED_IN_TODAY)
    await ready.advance(190)
    moments = [at for at, _ in polls.asked]
    assert 3 <= len(moments) <= 4
    assert all(later - at >= 60 for at, later in pairwise(moments))


async def test_a_meter_of_the_day_is_reached_through_the_counter_it_sums_up(ready: House) -> None:
    shown = ready.hass.states.get(FEED_IN_TODAY)
    assert shown is not None
    ready.hidden.add(FEED_IN_TODAY)
    ready.hass.states.async_set(FEED_IN_TODAY, shown.state, {**shown.attributes, "source": TOTAL})
    await ready.advance(6)
    polls = Polls(ready)
    ready.hide(FEED_IN_TODAY, TOTAL)
    await ready.advance(10)
    assert polls.asked[0][1] == [FEED_IN_TODAY, TOTAL]


async def test_what_is_only_stale_is_not_asked_for(ready: House) -> None:
    """An entity that nobody polls would write its old value anew, and pass for fresh."""
    polls = Polls(ready)
    ready.silence(FEED_IN_TODAY)
    await ready.advance(400)
    assert polls.asked == []


async def test_a_failing_poll_is_logged_once_and_stands_in_nobodys_way(
    ready: House, caplog: pytest.LogCaptureFixture
) -> None:
    polls = Polls(ready, raises=True)
    ready.hide(FEED_IN_TODAY)
    await ready.advance(200)
    assert len(polls.asked) == 1
    assert caplog.text.count("could not be polled") == 1
    ready.show()
    await ready.advance(70)
    assert ready.entity("system_health") == "Healthy"
    polls.raises = False
    ready.hide(FEED_IN_TODAY)  # another outage is another chance
    await ready.advance(15)
    assert len(polls.asked) == 2


async def test_nothing_is_asked_after_an_unload(ready: House) -> None:
    polls = Polls(ready, answers=False)
    assert await ready.hass.config_entries.async_unload(ready.entry.entry_id)
    ready.hide(FEED_IN_TODAY)
    await ready.advance(30)
    assert polls.asked == []
