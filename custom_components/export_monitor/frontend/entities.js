// Finds the integration's devices and their entities by what they are, never by their ids: people
// rename entities, and a second battery has ids of its own.

const PLATFORM = "export_monitor";
let known = { registry: null, devices: null, systems: [] };

/** Return every set-up of the integration: `{id, entryId, name, entities: {"sensor.key": id}}`. */
export function systems(hass) {
  if (known.registry === hass.entities && known.devices === hass.devices) return known.systems;
  const byDevice = new Map();
  for (const entity of Object.values(hass.entities ?? {})) {
    if (entity.platform !== PLATFORM || !entity.device_id || !entity.translation_key) continue;
    if (!byDevice.has(entity.device_id)) byDevice.set(entity.device_id, {});
    const domain = entity.entity_id.split(".")[0];
    byDevice.get(entity.device_id)[`${domain}.${entity.translation_key}`] = entity.entity_id;
  }
  const found = [...byDevice].map(([id, entities]) => {
    const device = hass.devices?.[id] ?? {};
    return {
      id,
      entryId: device.primary_config_entry ?? device.config_entries?.[0],
      name: device.name_by_user || device.name || "Export Monitor",
      entities,
    };
  });
  // The first entry's ids are the shortest; it leads in every list.
  const rank = (system) => system.entities["sensor.system_health"] ?? system.name;
  found.sort((a, b) => rank(a).length - rank(b).length || rank(a).localeCompare(rank(b)));
  known = { registry: hass.entities, devices: hass.devices, systems: found };
  return found;
}

/** Return the set-up that a card's configuration means; `undefined` where it is gone. */
export function systemOf(hass, config) {
  const all = systems(hass);
  if (config.device_id) return all.find((system) => system.id === config.device_id);
  if (config.entry) return all.find((system) => system.entryId === config.entry);
  return all[0];
}

const ABSENT = ["unavailable", "unknown"];

/** Reads states of one set-up by "domain.key". */
export class Facts {
  constructor(hass, system) {
    this.hass = hass;
    this.system = system;
  }

  id(key) {
    return this.system.entities[key];
  }

  state(key) {
    const state = this.hass.states[this.id(key)]?.state;
    return state === undefined || ABSENT.includes(state) ? undefined : state;
  }

  number(key) {
    const value = Number(this.state(key) ?? NaN);
    return Number.isFinite(value) ? value : undefined;
  }

  attributes(key) {
    return this.hass.states[this.id(key)]?.attributes ?? {};
  }
}

/** Return what to call an entity: its name, else its id. */
export const nameOf = (hass, entityId) =>
  hass.states[entityId]?.attributes?.friendly_name || entityId;
