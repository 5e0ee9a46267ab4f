"""The documentation against a running Home Assistant: what it names is there, what it shows works.

The drills of the guide are carried out from its text, step by step, in the simulated house.
"""

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
import json
import re
import shlex
from typing import Any

from homeassistant.components.logger import CONFIG_SCHEMA as LOGGER_SCHEMA
from homeassistant.components.recorder import CONFIG_SCHEMA as RECORDER_SCHEMA
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import config_validation as cv, entity_registry as er
from homeassistant.helpers.template import Template
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator

from simulator.faults import Fault
from tests import documents
from tests.documents import OWN, ROOT, Drill, Known, Step
from tests.integration.conftest import Build
from tests.integration.house import CHARGE, House
from tests.integration.planned import WITH_CARBON, show_carbon

GUIDE = (ROOT / "PRODUCTION_GUIDE.md").read_text("utf-8")
TRANSLATIONS = ROOT / "custom_components" / "export_monitor" / "translations" / "en.json"
EXCEPTIONS = json.loads(TRANSLATIONS.read_text("utf-8"))["exceptions"]
DRILLS = documents.drills(GUIDE)
DOCUMENTS = documents.texts()
WITH_YAML = documents.texts("yaml")
WITH_TEMPLATES = documents.texts("yaml", "jinja")
WITH_REQUESTS = {name: text for name, text in DOCUMENTS.items() if "$HA/" in text}
CARDS = {
    "button",
    "calendar",
    "conditional",
    "custom:export-monitor-card",
    "entities",
    "gauge",
    "glance",
    "grid",
    "heading",
    "history-graph",
    "horizontal-stack",
    "logbook",
    "markdown",
    "statistics-graph",
    "tile",
    "vertical-stack",
}


def of_each(found: Mapping[str, str]) -> pytest.MarkDecorator:
    """Run a test on the text of each document."""
    return pytest.mark.parametrize("text", found.values(), ids=found)


@pytest.fixture
async def full(build: Build) -> House:
    """Return a house that has and does everything: all entities that there can be."""
    house = build(start=House.EVENING.replace(hour=12), pv_w=1500)
    show_carbon(house.hass, House.EVENING, 300, 300)
    planning = {"enable_ci_planning": True, "enable_charge_planning": True, "export_price": 0.2}
    await house.set_up(wiring={**CHARGE, **WITH_CARBON}, fixed_limit=10, **planning)
    await house.advance(70)
    return house


def known(hass: HomeAssistant) -> Known:
    """Return what there is: entities that are disabled at first, too."""
    registered = {entry.entity_id for entry in er.async_get(hass).entities.values()}
    services = hass.services.async_services()[OWN]
    return Known(
        {*hass.states.async_entity_ids(), *registered},
        {name: _fields(service.schema) for name, service in services.items()},
    )


def _fields(schema: object) -> set[str]:
    wrapped = getattr(schema, "schema", schema)
    return {str(key) for key in wrapped} if isinstance(wrapped, dict) else set()


# What is named is there


async def test_every_entity_and_service_that_is_named_is_there(full: House) -> None:
    there = known(full.hass)
    wrong = [
        f"{name}: {found}"
        for name, text in DOCUMENTS.items()
        for check in (
            documents.unknown_entities,
            documents.unknown_services,
            documents.unknown_fields,
        )
        for found in check(text, there)
    ]
    assert wrong == []


async def test_a_wrong_entity_id_planted_in_the_guide_is_found(full: House) -> None:
    right, wrong = "sensor.export_monitor_error_state", "sensor.export_monitor_error_states"
    planted = GUIDE.replace(f"`{right}`", f"`{wrong}`", 1)
    assert planted != GUIDE
    there = known(full.hass)
    assert documents.unknown_entities(GUIDE, there) == []
    assert documents.unknown_entities(planted, there) == [f"no entity {wrong}"]


# What is shown works


@of_each(WITH_YAML)
async def test_every_action_is_one_that_home_assistant_would_take(full: House, text: str) -> None:
    hass = full.hass
    for component in ("light", "logger", "persistent_notification"):
        assert await async_setup_component(hass, component, {})
    data = [block.data for block in documents.blocks(text, "yaml")]
    for action in documents.actions(data):
        domain, _, service = action["action"].partition(".")
        if domain not in ("logbook", "notify"):  # one needs a recorder, the other a phone
            assert hass.services.has_service(domain, service), action
        if domain == OWN and not [*documents.templates(action)]:
            schema = hass.services.async_services()[domain][service].schema
            assert schema is not None
            schema(dict(action.get("data") or {}))
        cv.script_action(dict(action))


def _automations(data: object) -> list[dict[str, Any]]:
    """Return the automations of a block; what is only a part of one is made whole."""
    if isinstance(data, Mapping) and "automation" in data:
        return [dict(each) for each in data["automation"]]
    if isinstance(data, list):
        return [dict(each) for each in data if "triggers" in each and "actions" in each]
    if isinstance(data, Mapping) and ("triggers" in data or "actions" in data):
        trigger = [{"trigger": "event", "event_type": "never"}]
        nothing = [{"stop": "nothing"}]
        return [{"triggers": trigger, "actions": nothing, **data}]
    return []


@of_each(WITH_YAML)
async def test_every_automation_loads(
    full: House, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = [
        automation
        for block in documents.blocks(text, "yaml")
        for automation in _automations(block.data)
    ]
    for number, automation in enumerate(found):
        automation["id"] = f"example_{number}"
    assert await async_setup_component(full.hass, "automation", {"automation": found})
    states = full.hass.states.async_all("automation")
    assert len(states) == len(found)
    assert [state.entity_id for state in states if state.state != "on"] == []
    await full.hass.services.async_call(
        "automation", "turn_off", {"entity_id": "all"}, blocking=True
    )


class Anything(dict[str, Any]):
    """What a template may know of a trigger or an answer: whatever it asks for."""

    def __getattr__(self, name: str) -> "Anything":
        if name.startswith("_"):
            raise AttributeError(name)
        return Anything()

    def __missing__(self, key: str) -> "Anything":
        return Anything()

    def __str__(self) -> str:
        return "something"


@of_each(WITH_TEMPLATES)
async def test_every_template_renders(full: House, text: str) -> None:
    for block in documents.blocks(text, "yaml", "jinja"):
        data = block.text if block.kind == "jinja" else block.data
        answers = re.findall(r"(?:response_variable|as):\s*(\w+)", block.text)
        named = re.findall(r"^\s+(\w+): [\"'>{]", block.text, re.MULTILINE)
        facts = {name: Anything() for name in ("trigger", "repeat", "this", *answers, *named)}
        for template in documents.templates(data):
            rendered = Template(template, full.hass).async_render(facts, parse_result=False)
            assert "unavailable" not in rendered, f"line {block.line}: {rendered}"
            assert "unknown" not in rendered, f"line {block.line}: {rendered}"


@of_each(WITH_YAML)
async def test_every_template_entity_has_a_value(full: House, text: str) -> None:
    found = [
        each
        for block in documents.blocks(text, "yaml")
        if isinstance(block.data, Mapping) and "template" in block.data
        for each in block.data["template"]
    ]
    before = set(full.hass.states.async_entity_ids())
    assert await async_setup_component(full.hass, "template", {"template": found})
    await full.settle()
    made = set(full.hass.states.async_entity_ids()) - before
    assert len(made) == sum(
        len(each.get(kind, [])) for each in found for kind in ("sensor", "binary_sensor")
    )
    for entity_id in made:
        state = full.hass.states.get(entity_id)
        assert state is not None
        assert state.state not in ("unknown", "unavailable"), entity_id


@of_each(WITH_YAML)
async def test_every_card_shows_what_there_is(full: House, text: str) -> None:
    there = known(full.hass).entities
    for block in documents.blocks(text, "yaml"):
        for card in _cards(block.data):
            assert card["type"] in CARDS, f"line {block.line}"
            for entity_id in _shown(card):
                own = entity_id.partition(".")[2].startswith(OWN)
                assert not own or entity_id in there, entity_id


def _cards(data: object) -> list[Mapping[str, Any]]:
    if not isinstance(data, Mapping):
        return [card for each in data for card in _cards(each)] if isinstance(data, list) else []
    inner = [
        card for key in ("cards", "card", "views", "sections") for card in _cards(data.get(key, []))
    ]
    return [data, *inner] if isinstance(data.get("type"), str) and "trigger" not in data else inner


def _shown(card: Mapping[str, Any]) -> list[str]:
    rows = [card.get("entity"), *card.get("entities", [])]
    return [row if isinstance(row, str) else row["entity"] for row in rows if row]


@of_each(WITH_YAML)
def test_configuration_of_others_is_what_they_take(text: str) -> None:
    for block in documents.blocks(text, "yaml"):
        if isinstance(block.data, Mapping) and "logger" in block.data:
            LOGGER_SCHEMA(block.data)
        if isinstance(block.data, Mapping) and "recorder" in block.data:
            RECORDER_SCHEMA(block.data)


async def test_the_checklist_says_ok_where_all_is_well(ready: House) -> None:
    [block] = documents.blocks(documents.section(GUIDE, "Pre-deployment checklist"), "jinja")
    await ready.advance(60)
    lines = Template(block.text, ready.hass).async_render(parse_result=False).splitlines()
    assert len(lines) == 7
    assert [line for line in lines if not line.endswith(": ok")] == []


async def test_the_careful_settings_refuse_every_start(house: House) -> None:
    assert "the answer is `target_zero`" in documents.section(GUIDE, "Pre-deployment checklist")
    await house.set_up(target_export=0, min_soc=25, safety_margin=1.0)
    await house.advance(70)
    answer = await house.call("calculate_discharge")
    assert answer["why_not"] == "target_zero"


async def test_the_checklist_finds_what_is_not_well(ready: House) -> None:
    [block] = documents.blocks(documents.section(GUIDE, "Pre-deployment checklist"), "jinja")
    ready.options(fixed_limit=10)
    await ready.settle()
    await ready.discharge()
    ready.plant.faults.on(Fault.DROP)
    await ready.advance(120)
    lines = Template(block.text, ready.hass).async_render(parse_result=False).splitlines()
    found = {line.partition(":")[0] for line in lines if not line.endswith(": ok")}
    assert found >= {"Data complete", "Healthy", "Nothing runs", "Figures are there"}


@pytest.mark.usefixtures("socket_enabled")
@of_each(WITH_REQUESTS)
async def test_every_request_is_answered(
    ready: House, hass_client: ClientSessionGenerator, text: str
) -> None:
    """Every `curl` of the documentation, made for real."""
    calls = [
        shlex.split(line)
        for block in documents.blocks(text, "console")
        for line in block.text.splitlines()
        if line.startswith("curl ") and "$HA" in line
    ]
    if not calls:
        return
    assert await async_setup_component(ready.hass, "api", {})
    client = await hass_client()
    for parts in calls:
        [url] = [part for part in parts if part.startswith("$HA")]
        method = parts[parts.index("-X") + 1] if "-X" in parts else "GET"
        body = json.loads(parts[parts.index("-d") + 1]) if "-d" in parts else None
        answer = await client.request(method, url.removeprefix("$HA"), json=body)
        assert answer.status == 200, url
        assert await answer.json()


# The drills


def test_there_are_drills_and_each_has_its_place() -> None:
    assert len(DRILLS) >= 10
    for drill in DRILLS:
        assert [step.number for step in drill.steps] == list(range(1, len(drill.steps) + 1))
        anchor = re.sub(r"[^\w\- ]", "", drill.title.lower()).replace(" ", "-")
        assert anchor in documents.anchors(GUIDE)


@pytest.mark.parametrize("drill", DRILLS, ids=lambda drill: drill.title.partition(":")[0])
async def test_a_drill_of_the_guide(
    house: House, hass_storage: dict[str, Any], drill: Drill
) -> None:
    await house.set_up(target_export=500, fixed_limit=10)
    await house.advance(70)
    async with AsyncExitStack() as stack:
        owner = Owner(house, stack)
        for step in drill.steps:
            await owner.carry_out(step)
        owner.be_done()
        if house.discharging:  # the next drill begins at rest
            await house.call("stop_discharge")
        house.let_go()


async def test_a_drill_that_does_not_end_as_it_says_is_found(house: House) -> None:
    await house.set_up(target_export=500, fixed_limit=10)
    await house.advance(70)
    async with AsyncExitStack() as stack:
        owner = Owner(house, stack)
        with pytest.raises(AssertionError):
            await owner.carry_out(
                Step(1, "`sensor.export_monitor_discharge_status` shows `Active`.", None)
            )
        with pytest.raises(AssertionError):
            await owner.carry_out(Step(1, "Hope for the best.", None))
        refused = {"action": f"{OWN}.start_discharge", "data": {"power_w": -1}}
        await owner.carry_out(Step(1, "Start:", refused))
        with pytest.raises(AssertionError):
            owner.be_done()


async def test_the_restore_test_of_the_guide(ready: House, hass_storage: dict[str, Any]) -> None:
    """On a machine that does not reach the inverter: it loads, it is not well, nothing starts."""
    house = ready
    said = documents.section(GUIDE, "Restore test")
    assert "must load" in said
    await house.call("start_discharge", energy_kwh=0.05)
    await house.advance(300, until=lambda: house.state.session is None)
    options, started = dict(house.entry.options), len(house.asked("turn_on"))
    house.hide(*(each for each in house.home.states() if "alphaess" in each))
    async with house.restarted():
        await house.advance(200)
        assert house.entry.state is ConfigEntryState.LOADED
        assert house.entity("system_health") != "Healthy"
        assert dict(house.entry.options) == options
        with pytest.raises(ServiceValidationError):
            await house.call("start_discharge")
        assert len(house.asked("turn_on")) == started
        last = house.state.last
        assert last is not None
        assert last.reason == "target_reached"


@pytest.mark.parametrize(
    ("fault", "milestones"),
    [
        (
            Fault.DROP,
            {
                2: ("input_boolean.alphaess_helper_force_discharging", "off"),
                10: ("binary_sensor.export_monitor_data_problem", "on"),
                15: ("sensor.export_monitor_error_state", "discharge_stop_failed"),
                60: ("sensor.export_monitor_system_health", "Circuit Breaker Open"),
            },
        ),
        (
            Fault.HANG,
            {
                75: ("binary_sensor.export_monitor_data_problem", "on"),
                90: ("sensor.export_monitor_error_state", "soc_read_failed"),
                120: ("sensor.export_monitor_system_health", "Circuit Breaker Open"),
                980: ("sensor.export_monitor_error_state", "discharge_stop_failed"),
            },
        ),
    ],
)
async def test_an_outage_goes_as_the_guide_says(
    running: House, fault: Fault, milestones: Mapping[int, tuple[str, str]]
) -> None:
    house, passed = running, 0
    house.plant.faults.on(fault)
    for second, (entity_id, shown) in milestones.items():
        await house.advance(second - passed)
        passed = second
        state = house.hass.states.get(entity_id)
        assert state is not None
        assert state.state == shown, f"{entity_id} after {second} s"
    assert house.discharging
    await house.advance(1800 - passed)
    assert not house.discharging
    house.plant.faults.off(fault)
    await house.advance(40)
    assert house.entity("discharge_status") == "Complete"
    await house.advance(80)
    assert house.entity("system_health") == "Healthy"


class Owner:
    """Somebody who does what the guide says, to the letter."""

    def __init__(self, house: House, stack: AsyncExitStack) -> None:
        self._house = house
        self._stack = stack
        self._answer: Mapping[str, Any] = {}
        self._refusal: HomeAssistantError | None = None
        self._hands: Mapping[str, Callable[[], None]] = {
            "pull the inverter's network cable": lambda: house.plant.faults.on(Fault.DROP),
            "plug the inverter's network cable in": lambda: house.plant.faults.off(Fault.DROP),
            "disable the SOC sensor in its settings": lambda: house.hide(
                "sensor.alphaess_soc_battery"
            ),
            "enable the SOC sensor again": house.show,
            "disable the discharge power number in its settings": lambda: house.hide(
                "input_number.alphaess_helper_force_discharging_power"
            ),
            "enable the discharge power number again": house.show,
        }

    async def carry_out(self, step: Step) -> None:
        """Do one step; one that cannot be understood is a fault of the guide."""
        if step.action is not None:
            self.be_done()
            await self._act(step.action)
        for sentence in re.split(r"(?<=\.)\s+(?=[A-Z`])", step.text):
            if step.action is None and not await self._obey(sentence):
                raise AssertionError(f"Nobody can do or see this: {sentence}")

    def be_done(self) -> None:
        """Find a refusal that the guide says nothing of."""
        assert self._refusal is None, f"not in the guide: {self._refusal!r}"

    async def _obey(self, sentence: str) -> bool:
        """Do, wait or look as one sentence says; False where it says nothing of the kind."""
        if sentence.startswith("Look: ") or not re.match(
            r"Wait|By hand|It (is refused|fails)|Its answer|The attribute|`", sentence
        ):
            return sentence.startswith(("Look: ", "Do it once", "Open both"))
        if found := re.fullmatch(r"Wait (\d+) seconds\.", sentence):
            await self._house.advance(int(found[1]))
        elif found := re.fullmatch(
            r"Wait at most (\d+) seconds until `(.+)` shows `(.+)`\.", sentence
        ):
            await self._house.advance(
                int(found[1]), until=lambda: self._state(found[2]) == found[3]
            )
            assert self._state(found[2]) == found[3], sentence
        elif found := re.fullmatch(r"`(.+)` shows `(.+)`\.", sentence):
            assert self._state(found[1]) == found[2], sentence
        elif found := re.fullmatch(r"The attribute `(.+)` of `(.+)` is `(.+)`\.", sentence):
            state = self._house.hass.states.get(found[2])
            assert state is not None
            assert str(state.attributes[found[1]]) == found[3], sentence
        elif found := re.fullmatch(r"By hand: (.+)\.", sentence):
            await self._by_hand(found[1])
        elif found := re.fullmatch(r"It (?:is refused|fails): \*(.+)\*\.", sentence):
            self._was_told(found[1], refused="refused" in sentence)
        else:
            return sentence.startswith("Its answer says") and self._answered(sentence)
        return True

    def _answered(self, sentence: str) -> bool:
        """Look up what the last action answered; False where the sentence cannot be understood."""
        if found := re.fullmatch(r"Its answer says `(.+)` for each channel in `(.+)`\.", sentence):
            assert set(self._answer[found[2]].values()) == {found[1]}, sentence
        elif found := re.fullmatch(r"Its answer says `(.+?)` for `(.+?)` in `(.+)`\.", sentence):
            assert str(self._answer[found[3]][found[2]]) == found[1], sentence
        elif found := re.fullmatch(r"Its answer says `(.+?)` for `(.+)`\.", sentence):
            assert str(self._answer[found[2]]).lower() == found[1], sentence
        return found is not None

    def _state(self, entity_id: str) -> str | None:
        state = self._house.hass.states.get(entity_id)
        return None if state is None else state.state

    async def _by_hand(self, what: str) -> None:
        if what == "kill Home Assistant and start it again":
            house = self._house
            house.home.kill()
            house.let_go()
            house.freezer.tick(timedelta(seconds=60))
            house.home.advance(60)
            house.home.drain_reports()
            house.home.start()
            await self._stack.enter_async_context(house.restarted())
            return
        assert what in self._hands, f"by hand: {what}"
        self._hands[what]()
        await self._house.settle()

    def _was_told(self, words: str, *, refused: bool) -> None:
        refusal, self._refusal = self._refusal, None
        assert refusal is not None, "nothing was refused"
        assert isinstance(refusal, ServiceValidationError) is refused
        text = EXCEPTIONS[refusal.translation_key]["message"]
        assert text.startswith(words), text

    async def _act(self, action: Mapping[str, Any]) -> None:
        domain, _, service = action["action"].partition(".")
        data = {**(action.get("data") or {}), **(action.get("target") or {})}
        try:
            if domain == OWN:
                self._answer = await self._house.call(service, **data) or {}
                return
            hass = self._house.hass
            task = hass.async_create_task(
                hass.services.async_call(domain, service, data, blocking=True)
            )
            await self._house.advance(120, until=task.done)
            task.result()
        except HomeAssistantError as error:
            self._refusal = error
