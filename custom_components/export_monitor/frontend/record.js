// The record of what was exported: a page of its own, which only administrators may open.

import { h } from "./dom.js";

const HOLDS_S = 900; // long enough to look at the page, print it and reload it

/** Open the page in a new tab. A browser cannot show who it is there, so the address is signed. */
export async function openRecord(hass, entryId) {
  const address = `/api/export_monitor/${entryId}/report/page`;
  const { path } = await hass.callWS({ type: "auth/sign_path", path: address, expires: HOLDS_S });
  // A link that is clicked, as companion apps open no windows.
  h("a", { href: hass.hassUrl?.(path) ?? path, target: "_blank", rel: "noopener" }).click();
}
