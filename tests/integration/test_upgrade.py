"""Entries as 1.x stored them: loaded from its own files, with its entities and their ids.

`stored_1x/` holds what releases of 1.x wrote on Home Assistant 2025.4: the config entry, the device
and the entities, nothing changed.
"""

from collections.abc import Callable
from copy import deepcopy
import json
from pathlib import Path
from typing import Any

from homeassistant.bootstrap import async_load_base_functionality
from homeassistant.components import hassio  # noqa: F401 - it cannot be imported on frozen time
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.setup import async_setup_component
import pytest

from custom_components.export_monitor import const
from custom_components.export_monitor.config_flow import ExportMonitorConfigFlow
from custom_components.export_monitor.repairs import rewire
from custom_components.export_monitor.settings import merged, settings_of
from custom_components.export_monitor.upgrade import MINOR_VERSION, VERSION
from tests.integration.conftest import Build
from tests.integration.house import FORECAST, WIRING, House

STORED = Path(__file__).parent / "stored_1x"
RELEASES = sorted(path.stem for path in STORED.glob("*.json"))
LATEST = "v1.9.17"
HELPER = "input_number.alphaess_helper_force_discharging_duration"
TEMPLATE = "number.alphaess_template_force_discharging_duration"
MINUTES = {"unit_of_measurement": "min", "min": 5, "max": 480, "step": 5}
NOTICE = "upgraded_from_1x"
# Unique ids that the contract keeps (specification page 2), by platform.
KEPT = {
    "sensor": [
        "export_headroom",
        "discharge_needed",
        "exported_today",
        "discharge_status",
        "calculated_duration",
        "reserve_soc_target",
        "reserve_soc_status",
        "current_ci_value",
        "current_ci_index",
        "discharge_plan_today",
        "discharge_plan_tomorrow",
        "next_charge_session",
        "system_health",
        "error_state",
        "data_staleness",
        "circuit_breaker_status",
        "discharge_plan_today_energy",
        "discharge_plan_today_windows",
        "discharge_plan_tomorrow_energy",
        "discharge_plan_tomorrow_windows",
    ],
    "button": ["start_discharge", "stop_discharge", "calculate_discharge"],
    "number": ["target_export", "min_soc", "safety_margin"],
    "switch": ["enable_auto_discharge", "enable_auto_charge"],
}
CARBON_KEYS = {"current_ci_value", "current_ci_index"}
CARBON = "sensor.carbon_intensity_uk"

type Document = dict[str, Any]


def of_release(release: str) -> Document:
    """Return what a release has stored, by storage key."""
    document: Document = json.loads((STORED / f"{release}.json").read_text("utf-8"))
    return document


class Past:
    """What 1.x has left in the storage of the test's Home Assistant; a test may change it."""

    def __init__(self, storage: Document, document: Document) -> None:
        self.storage = storage
        self.document = document
        storage.update(document)

    @property
    def entry(self) -> Document:
        entry: Document = self.document["core.config_entries"]["data"]["entries"][0]
        return entry

    @property
    def entities(self) -> list[Document]:
        entities: list[Document] = self.document["core.entity_registry"]["data"]["entities"]
        return entities

    def entity(self, key: str, domain: str = "sensor") -> Document:
        return next(
            each
            for each in self.entities
            if each["unique_id"] == f"{self.entry['entry_id']}_{key}"
            and each["entity_id"].startswith(f"{domain}.")
        )

    def kept(self) -> dict[str, str]:
        """Return the entity ids that must stay, by platform and key."""
        carbon = bool(self.entry["data"].get(const.CONF_CARBON))
        found = {}
        for each in self.entities:
            domain = each["entity_id"].split(".")[0]
            key = each["unique_id"].removeprefix(f"{self.entry['entry_id']}_")
            if key in KEPT[domain] and (carbon or key not in CARBON_KEYS):
                found[f"{domain}.{key}"] = each["entity_id"]
        return found


@pytest.fixture
def release() -> str:
    return LATEST


@pytest.fixture
def changes() -> Callable[[Past], None]:
    """Change the past before Home Assistant starts; tests give another one by parameters."""
    return lambda _past: None


@pytest.fixture
def hass_storage(hass_storage: Document, release: str, changes: Callable[[Past], None]) -> Document:
    """Let Home Assistant find the files of 1.x when it starts."""
    past = Past(hass_storage, deepcopy(of_release(release)))
    changes(past)
    hass_storage["past"] = past
    return hass_storage


@pytest.fixture
def past(hass_storage: Document) -> Past:
    past: Past = hass_storage.pop("past")
    return past


@pytest.fixture
def load_registries() -> bool:
    """Load none in the test's way, which never reads what is stored."""
    return False


@pytest.fixture
async def old(hass: HomeAssistant, past: Past, build: Build) -> House:
    """Return a house whose Home Assistant has read the old files, and set nothing up yet."""
    await async_load_base_functionality(hass)
    house = build()
    await hass.config.async_set_time_zone("UTC")
    assert await async_setup_component(hass, "repairs", {})
    (house.entry,) = hass.config_entries.async_entries(const.DOMAIN)  # type: ignore[assignment]
    return house


async def start(house: House, seconds: float = 70) -> ConfigEntry:
    """Set the old entry up, and let the sensors report."""
    assert await house.hass.config_entries.async_setup(house.entry.entry_id)
    await house.settle()
    await house.advance(seconds)
    return house.entry


def entity_ids(house: House) -> dict[str, str]:
    """Return the entry's entity ids by platform and key."""
    registry = er.async_get(house.hass)
    return {
        f"{each.domain}.{each.unique_id.removeprefix(f'{house.entry.entry_id}_')}": each.entity_id
        for each in er.async_entries_for_config_entry(registry, house.entry.entry_id)
    }


def notice(house: House) -> ir.IssueEntry | None:
    return house.issue(NOTICE)


def needed(house: House) -> set[str]:
    """Return the roles of which a repair issue says that they are needed."""
    return {
        str((issue.data or {})["role"])
        for issue in ir.async_get(house.hass).issues.values()
        if issue.active and issue.translation_key == "entity_needed"
    }


def hide(house: House, *ids: str) -> None:
    """Let entities not exist."""
    house.silence(*ids)
    for entity_id in ids:
        house.hass.states.async_remove(entity_id)


# Entities


@pytest.mark.parametrize("release", RELEASES)
async def test_entities_keep_their_ids_and_retired_ones_leave(old: House, past: Past) -> None:
    before = past.kept()
    await start(old)
    after = entity_ids(old)
    assert before.items() <= after.items()
    stored = {each["entity_id"] for each in past.entities}
    assert stored & set(after.values()) == set(before.values())
    assert past.entry["data"].items() <= old.entry.data.items(), "1.x must find its keys again"
    assert (old.entry.version, old.entry.minor_version) == (VERSION, MINOR_VERSION)
    devices = dr.async_entries_for_config_entry(dr.async_get(old.hass), old.entry.entry_id)
    assert [device.name for device in devices] == ["Energy Export Monitor"]
    assert [device.id for device in devices] == [
        each["id"] for each in past.document["core.device_registry"]["data"]["devices"]
    ]


@pytest.mark.parametrize("release", RELEASES)
async def test_what_was_kept_is_provided_with_its_unit_and_statistics_go_on(
    old: House, past: Past
) -> None:
    await start(old)
    states = {key: old.hass.states.get(each) for key, each in past.kept().items()}
    registry = er.async_get(old.hass)
    for key, state in states.items():
        then = past.entity(key.partition(".")[2], key.split(".")[0])
        now = registry.async_get(then["entity_id"])
        assert now is not None
        if now.disabled_by is not None:
            continue
        assert state is not None, key
        assert not state.attributes.get("restored"), f"{key}: nothing provides it"
        gained = key == "sensor.current_ci_value"  # it had none
        assert gained or now.unit_of_measurement == then["unit_of_measurement"], key
        if "state_class" in (then["capabilities"] or {}):
            assert then["capabilities"]["state_class"] == (now.capabilities or {})["state_class"]


def _rename(past: Past) -> None:
    past.entity("export_headroom")["entity_id"] = "sensor.my_headroom"
    past.entity("min_soc", "number")["entity_id"] = "number.floor"
    past.entity("error_state")["disabled_by"] = "user"


@pytest.mark.parametrize("changes", [_rename])
async def test_ids_that_its_user_chose_stay_and_so_does_what_is_disabled(
    old: House, past: Past
) -> None:
    await start(old)
    assert past.kept().items() <= entity_ids(old).items()
    assert old.hass.states.get("sensor.my_headroom") is not None
    floor = old.hass.states.get("number.floor")
    assert floor is not None
    assert float(floor.state) == 20
    disabled = er.async_get(old.hass).async_get(past.entity("error_state")["entity_id"])
    assert disabled is not None
    assert disabled.disabled_by is er.RegistryEntryDisabler.USER


def _with_carbon(past: Past) -> None:
    past.entry["data"][const.CONF_CARBON] = CARBON


def _with_carbon_in_options(past: Past) -> None:
    past.entry["options"][const.CONF_CARBON] = CARBON
    past.entry["data"][const.CONF_CARBON] = "sensor.older"


@pytest.mark.parametrize("changes", [_with_carbon, _with_carbon_in_options])
async def test_carbon_sensors_stay_where_there_is_a_source(old: House, past: Past) -> None:
    assert {key.partition(".")[2] for key in past.kept()} >= CARBON_KEYS
    rates = {"rates": [], "index": "low"}
    old.hass.states.async_set(CARBON, "120", {"unit_of_measurement": "gCO2/kWh", **rates})
    await start(old)
    assert past.kept().items() <= entity_ids(old).items()
    state = old.hass.states.get(past.entity("current_ci_value")["entity_id"])
    assert state is not None
    assert not state.attributes.get("restored")


# Settings


async def test_settings_of_the_options_win_over_those_of_the_data(old: House, past: Past) -> None:
    assert past.entry["data"][const.CONF_TARGET_EXPORT] == 0
    entry = await start(old)
    settings = settings_of(merged(entry))
    assert settings.target_export_w == 3000
    assert settings.safety_margin_kwh == 0.8
    assert settings.min_soc == 20
    assert entry.options == past.entry["options"]


def _below_zero(past: Past) -> None:
    past.entry["options"][const.CONF_SAFETY_MARGIN] = -2


@pytest.mark.parametrize("changes", [_below_zero])
async def test_a_margin_below_zero_lets_no_more_out_than_the_contract(old: House) -> None:
    await start(old)
    decision = old.state.decision
    assert decision is not None
    assert decision.allowance <= decision.contract


def _automatic(past: Past) -> None:
    past.entry["data"][const.CONF_AUTO_DISCHARGE] = True


def _automatic_and_live(past: Past) -> None:
    past.entry["options"] |= {const.CONF_AUTO_CHARGE: True, const.CONF_DRY_RUN: False}


@pytest.mark.parametrize(
    ("changes", "dry"),
    [(_automatic, True), (_automatic_and_live, False), (_below_zero, None)],
)
async def test_an_automatic_that_was_on_is_on_a_dry_run_first(old: House, dry: bool | None) -> None:
    entry = await start(old)
    assert entry.options.get(const.CONF_DRY_RUN) is dry


# What 1.x never asked for


async def test_the_house_is_found_by_its_names_and_a_discharge_is_guarded(old: House) -> None:
    remaining = FORECAST[const.CONF_FORECAST_REMAINING]
    old.hass.states.async_set(remaining, "1", {"unit_of_measurement": "kWh"})
    entry = await start(old)
    for key in (
        const.CONF_PRESET,
        const.CONF_DISCHARGE_DURATION,
        const.CONF_FALLBACK_STOP,
        const.CONF_GRID_POWER,
        const.CONF_BATTERY_POWER,
        const.CONF_DISPATCH_START,
    ):
        assert entry.data[key] == WIRING[key], key
    assert entry.data[const.CONF_FORECAST_REMAINING] == remaining
    assert set(WIRING[const.CONF_CONFLICTING_MODES]) <= set(
        entry.data[const.CONF_CONFLICTING_MODES]
    )
    assert needed(old) == set()
    old.options(basis="fixed", fixed_limit=10)
    await old.settle()
    await old.discharge()
    assert old.discharging
    answer = await old.call("stop_discharge")
    assert answer["proof"]
    assert not old.discharging


@pytest.mark.parametrize(
    ("there", "taken"),
    [((HELPER, TEMPLATE), HELPER), ((TEMPLATE,), TEMPLATE), ((), None)],
)
async def test_the_duration_is_the_helper_that_exists(
    old: House, there: tuple[str, ...], taken: str | None
) -> None:
    hide(old, HELPER)
    for entity_id in there:
        old.hass.states.async_set(entity_id, "30", MINUTES)
    entry = await start(old)
    assert entry.data.get(const.CONF_DISCHARGE_DURATION) == taken
    assert needed(old) == (set() if taken else {const.CONF_DISCHARGE_DURATION})


async def test_without_a_duration_all_lives_and_nothing_starts_until_it_is_there(
    old: House,
) -> None:
    hide(old, HELPER)
    entry = await start(old)
    assert entry.state is ConfigEntryState.LOADED
    ids = entity_ids(old)
    health = old.hass.states.get(ids["sensor.system_health"])
    assert health is not None
    assert health.state == "Healthy"
    old.options(basis="fixed", fixed_limit=10)
    await old.settle()
    with pytest.raises(HomeAssistantError, match="duration could not be set"):
        await old.call("start_discharge")
    assert not old.discharging, "no dead-man, no discharge"
    old.show()
    assert await old.hass.config_entries.async_reload(entry.entry_id)
    await old.advance(70)
    assert entry.data[const.CONF_DISCHARGE_DURATION] == HELPER
    assert needed(old) == set()


async def test_only_what_fits_is_taken(old: House) -> None:
    hide(old, HELPER, WIRING[const.CONF_GRID_POWER])
    old.hass.states.async_set(HELPER, "30", {"unit_of_measurement": "kWh"})
    old.hass.states.async_set(WIRING[const.CONF_GRID_POWER], "1", {"unit_of_measurement": "A"})
    entry = await start(old)
    assert const.CONF_DISCHARGE_DURATION not in entry.data
    assert const.CONF_GRID_POWER not in entry.data


async def test_what_another_entry_commands_is_not_taken(old: House) -> None:
    other = deepcopy(dict(old.entry.data)) | {
        const.CONF_PRESET: "generic",
        const.CONF_DISCHARGE_SWITCH: "switch.other",
        const.CONF_DISCHARGE_DURATION: HELPER,
    }
    second = old.__class__(old.hass, old.freezer).entry
    second.add_to_hass(old.hass)
    old.hass.config_entries.async_update_entry(second, data=other)
    entry = await start(old)
    assert const.CONF_DISCHARGE_DURATION not in entry.data


def _generic(past: Past) -> None:
    past.entry["data"] |= {
        const.CONF_DISCHARGE_SWITCH: "switch.battery_export",
        const.CONF_DISCHARGE_POWER: "number.battery_power",
        const.CONF_DISCHARGE_CUTOFF: "number.battery_cutoff",
    }


def _renamed_switch(past: Past) -> None:
    past.entry["data"][const.CONF_DISCHARGE_SWITCH] = "switch.battery_export"


@pytest.mark.parametrize(
    ("changes", "preset"), [(_generic, "generic"), (_renamed_switch, "alphaess")]
)
async def test_the_kind_of_battery_is_told_by_the_names_of_its_controls(
    old: House, preset: str
) -> None:
    entry = await start(old)
    assert entry.data[const.CONF_PRESET] == preset
    assert entry.data[const.CONF_DISCHARGE_DURATION] == HELPER, "1.x wrote to it in any case"
    assert (const.CONF_FALLBACK_STOP in entry.data) is (preset == "alphaess")


async def test_nothing_is_looked_for_while_home_assistant_starts(old: House) -> None:
    old.hass.set_state(CoreState.starting)
    entry = await start(old)
    assert const.CONF_DISCHARGE_DURATION not in entry.data
    assert notice(old) is None
    assert needed(old) == set()
    old.hass.set_state(CoreState.running)
    old.hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await old.advance(70)
    assert entry.data[const.CONF_DISCHARGE_DURATION] == HELPER
    assert notice(old) is not None
    assert needed(old) == set()


async def test_what_its_user_leaves_out_later_stays_out(old: House) -> None:
    entry = await start(old)
    rewire(old.hass, entry, const.CONF_HOUSE_LOAD, WIRING[const.CONF_HOUSE_LOAD], "")
    await old.advance(10)
    assert await old.hass.config_entries.async_reload(entry.entry_id)
    await old.advance(10)
    assert const.CONF_HOUSE_LOAD not in entry.data


# Said once


async def test_the_margin_is_said_once_until_it_is_confirmed(old: House) -> None:
    entry = await start(old)
    issue = notice(old)
    assert issue is not None
    assert issue.is_fixable
    assert issue.is_persistent
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["margin"] == "0.8"
    assert f"Discharge duration: {HELPER}" in issue.translation_placeholders["found"]
    assert await old.hass.config_entries.async_reload(entry.entry_id)
    await old.settle()
    assert notice(old) is not None
    flows = old.hass.data["repairs"]["flow_manager"]
    form = await flows.async_init(const.DOMAIN, data={"issue_id": issue.issue_id})
    assert form["type"] is FlowResultType.FORM
    assert form["step_id"] == "confirm"
    assert form["description_placeholders"]["margin"] == "0.8"
    done = await flows.async_configure(form["flow_id"], {})
    assert done["type"] is FlowResultType.CREATE_ENTRY
    await old.settle()
    assert notice(old) is None
    assert await old.hass.config_entries.async_reload(entry.entry_id)
    await old.advance(70)
    assert notice(old) is None


# Home Assistant looks for orphaned devices a while later.
@pytest.mark.parametrize("expected_lingering_timers", [True])
async def test_the_notice_goes_with_its_entry(old: House) -> None:
    entry = await start(old)
    assert await old.hass.config_entries.async_remove(entry.entry_id)
    await old.settle()
    assert notice(old) is None


def _ours(past: Past) -> None:
    past.entry["data"][const.CONF_PRESET] = "alphaess"
    past.entry["minor_version"] = MINOR_VERSION


@pytest.mark.parametrize("changes", [_ours])
async def test_an_entry_of_ours_is_left_alone(old: House, past: Past) -> None:
    entry = await start(old)
    assert entry.data == past.entry["data"]
    assert entry.options == past.entry["options"]
    assert notice(old) is None


# Back to 1.x, and forward again


async def test_who_went_back_to_1x_is_taken_over_again(old: House, past: Past) -> None:
    entry = await start(old)
    assert await old.hass.config_entries.async_unload(entry.entry_id)
    flow_of_1x = dict(past.entry["data"])  # its Reconfigure stores just what it asked for
    old.hass.config_entries.async_update_entry(entry, data=flow_of_1x)
    registry = er.async_get(old.hass)
    retired = registry.async_get_or_create(
        "sensor", const.DOMAIN, f"{entry.entry_id}_diag_min_soc", config_entry=entry
    )
    await start(old)
    assert registry.async_get(retired.entity_id) is None
    assert entry.data[const.CONF_DISCHARGE_DURATION] == HELPER
    assert past.kept().items() <= entity_ids(old).items()


def _of_tomorrow(past: Past) -> None:
    past.entry["version"] = 2


@pytest.mark.parametrize("changes", [_of_tomorrow])
async def test_an_entry_of_a_later_version_is_not_touched(old: House, past: Past) -> None:
    assert not await old.hass.config_entries.async_setup(old.entry.entry_id)
    assert old.entry.state is ConfigEntryState.MIGRATION_ERROR
    assert old.entry.data == past.entry["data"]
    assert len(entity_ids(old)) == len(past.entities)


def test_the_flow_writes_the_versions_that_are_migrated_to() -> None:
    assert ExportMonitorConfigFlow.VERSION == VERSION
    assert ExportMonitorConfigFlow.MINOR_VERSION == MINOR_VERSION
