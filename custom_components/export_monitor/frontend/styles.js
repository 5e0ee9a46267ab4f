// Colours come from Home Assistant's theme. The few of our own are pairs with a contrast of 4.5 and
// more in both modes, because a theme's "error" or "primary" may be too pale to carry a text.

export const STYLES = `
:host {
  display: block;
  container-type: inline-size;
  --em-text: var(--primary-text-color, #212121);
  --em-soft: color-mix(in srgb, var(--em-text) 74%, var(--em-card));
  --em-card: var(--ha-card-background, var(--card-background-color, #fff));
  --em-line: var(--divider-color, #e0e0e0);
  --em-discharge: #b45309;
  --em-charge: #1d4ed8;
  --em-on-kind: #fff;
  --em-curve: #8a94a6;
  --em-used: #64748b;
  --em-stop: #b3261e;
  --em-stop-edge: #b3261e;
  --em-go: #1d4ed8;
  --em-on-button: #fff;
  --em-warn: #f59e0b;
  --em-alarm: #dc2626;
}
:host([dark]) {
  --em-discharge: #f59e0b;
  --em-charge: #60a5fa;
  --em-on-kind: #000;
  --em-curve: #7d8899;
  --em-used: #94a3b8;
  --em-go: #2563eb;
  --em-stop-edge: #f9a8a0;
}
* { box-sizing: border-box; }
ha-card { overflow: hidden; color: var(--em-text); }
.body { display: grid; gap: 16px; padding: 16px; }
h2, h3, p, ul, ol, dl, dd { margin: 0; padding: 0; }
h2 { font-size: 1.25rem; font-weight: 500; line-height: 1.3; overflow-wrap: anywhere; }
h3 { font-size: .9375rem; font-weight: 500; display: flex; flex-wrap: wrap; gap: 4px 12px; justify-content: space-between; align-items: baseline; }
p, li { line-height: 1.45; }
[hidden] { display: none !important; }
.quiet, .legend, .facts { color: var(--em-soft); font-size: .875rem; }
header { display: flex; gap: 12px; align-items: center; justify-content: space-between; }
.chip { flex: none; border-radius: 999px; padding: 4px 12px; font-size: .875rem; font-weight: 500; border: 1px solid var(--em-line); color: var(--em-text); }
.chip.discharge { background: var(--em-discharge); color: var(--em-on-kind); border-color: transparent; }
.chip.charge { background: var(--em-charge); color: var(--em-on-kind); border-color: transparent; }
.chip.alarm { background: var(--em-stop); color: #fff; border-color: transparent; }
.say p + p { margin-top: 4px; color: var(--em-soft); }

.buttons { display: grid; gap: 8px; }
button.action { font: inherit; font-weight: 500; min-height: 48px; border-radius: 12px; padding: 8px 16px; cursor: pointer; display: inline-flex; gap: 8px; align-items: center; justify-content: center; border: 2px solid transparent; color: var(--em-text); background: color-mix(in srgb, var(--em-text) 8%, var(--em-card)); }
button.action.stop { border-color: var(--em-stop-edge); color: var(--em-stop-edge); background: transparent; }
.buttons.urgent button.stop { background: var(--em-stop); color: #fff; border-color: transparent; }
.buttons.running button.stop { min-height: 64px; font-size: 1.125rem; }
button.action.go { background: var(--em-go); color: var(--em-on-button); }
button.action.halt { background: var(--em-stop); color: #fff; }
button.action:hover { filter: brightness(1.1); }
button:focus-visible { outline: 3px solid var(--em-text); outline-offset: 2px; }
button.link { font: inherit; color: inherit; background: none; border: 0; padding: 0; text-decoration: underline; cursor: pointer; text-align: start; overflow-wrap: anywhere; }
button.link.quiet { color: var(--em-soft); font-size: .875rem; }
footer { display: flex; flex-wrap: wrap; gap: 8px 24px; justify-content: space-between; }
footer:not(:has(> :not([hidden]))) { display: none; }
.glyph { width: 20px; height: 20px; fill: currentColor; flex: none; }
.outcome:empty { display: none; }
.outcome { border-inline-start: 4px solid var(--em-go); padding: 4px 12px; }
.outcome.failed { border-color: var(--em-alarm); }

.faults { display: grid; gap: 8px; }
.faults:empty { display: none; }
.fault { display: grid; gap: 6px; padding: 12px; border-radius: 12px; border: 1px solid var(--em-warn); border-inline-start-width: 6px; background: color-mix(in srgb, var(--em-warn) 12%, var(--em-card)); }
.fault.critical { border-color: var(--em-alarm); background: color-mix(in srgb, var(--em-alarm) 12%, var(--em-card)); }
.fault h3 { font-size: 1.0625rem; display: block; }
.fault ol { padding-inline-start: 1.4em; }
.fault li + li { margin-top: 2px; }
.about { font-size: .875rem; }

.said { font-weight: 400; }
.bar { display: flex; height: 20px; margin-top: 8px; border-radius: 10px; overflow: hidden; background: color-mix(in srgb, var(--em-text) 14%, var(--em-card)); }
.bar .exported, .parts .exported { background: var(--em-used); }
.bar .headroom, .parts .headroom { background: var(--em-discharge); }
.parts .kept { background: color-mix(in srgb, var(--em-text) 14%, var(--em-card)); border: 1px solid var(--em-soft); }
.parts { display: grid; gap: 4px; margin-top: 8px; font-size: .875rem; }
.part { display: flex; gap: 8px; justify-content: space-between; }
.part dt { display: flex; gap: 8px; align-items: center; color: var(--em-soft); }
.part dd { font-variant-numeric: tabular-nums; }
.part i { width: 12px; height: 12px; border-radius: 3px; flex: none; }

.picture { margin-top: 8px; }
.plot { position: relative; height: 120px; margin-bottom: 22px; border-bottom: 1px solid var(--em-line); }
.curve { position: absolute; inset: 0; width: 100%; height: 100%; }
.bars { fill: var(--em-curve); opacity: .5; }
.steps { fill: none; stroke: var(--em-text); stroke-width: 1.5; vector-effect: non-scaling-stroke; }
.top { position: absolute; top: -2px; inset-inline-start: 2px; padding-inline-start: 4px; font-size: .75rem; color: var(--em-text); background: var(--em-card); padding-inline-end: 6px; border-radius: 4px; z-index: 1; }
.band { position: absolute; top: 0; bottom: 0; opacity: .28; }
.band.discharge { background: var(--em-discharge); }
.band.charge { background: var(--em-charge); }
.mark { position: absolute; top: 0; bottom: 0; border-inline-start: 1px dashed var(--em-line); }
.mark.midnight { border-inline-start: 1px solid var(--em-soft); }
.mark span { position: absolute; bottom: -20px; transform: translateX(-50%); font-size: .75rem; white-space: nowrap; color: var(--em-soft); }
.mark.midnight span { color: var(--em-text); font-weight: 500; }
.mark.minor span { display: none; }
.now { position: absolute; top: 0; bottom: -4px; width: 2px; margin-inline-start: -1px; background: var(--em-text); }
.lane { position: relative; height: 24px; border-radius: 6px; background: color-mix(in srgb, var(--em-text) 6%, var(--em-card)); overflow: hidden; }
.block { position: absolute; top: 0; bottom: 0; display: grid; place-items: center; border-radius: 4px; color: var(--em-on-kind); overflow: hidden; }
.block.discharge, .dot.discharge { background: var(--em-discharge); }
.block.charge, .dot.charge { background: var(--em-charge); }
.block .glyph { width: 16px; height: 16px; }
.legend { display: flex; gap: 8px; margin-top: 8px; }
.legend::before { content: ""; width: 12px; height: 12px; flex: none; margin-top: 4px; border-radius: 3px; background: var(--em-curve); }
.legend.second::before { height: 0; border-top: 2px solid var(--em-text); margin-top: 9px; background: none; border-radius: 0; }
.legend.none::before { display: none; }
.legend + .quiet { margin-top: 8px; }
.plan { list-style: none; display: grid; gap: 8px; margin-top: 12px; }
.plan li { display: flex; gap: 10px; align-items: flex-start; }
.plan strong { font-weight: 500; display: block; }
details { margin-top: 12px; }
summary { cursor: pointer; font-size: .875rem; padding: 4px 0; }
summary:focus-visible { outline: 3px solid var(--em-text); outline-offset: 2px; }
.dot { width: 24px; height: 24px; border-radius: 6px; display: grid; place-items: center; flex: none; color: var(--em-on-kind); }
.dot.past { background: color-mix(in srgb, var(--em-text) 14%, var(--em-card)); color: var(--em-text); }
.dot .glyph { width: 16px; height: 16px; }

dialog { font: inherit; color: var(--em-text); background: var(--em-card); border: 1px solid var(--em-line); border-radius: 20px; padding: 24px; width: min(420px, calc(100vw - 32px)); }
dialog::backdrop { background: rgb(0 0 0 / .5); }
dialog p { margin-top: 12px; }
dialog .choices { display: grid; gap: 8px; margin-top: 24px; grid-template-columns: 1fr 1fr; }
dialog .choices > :only-child { grid-column: 1 / -1; }

@container (min-width: 400px) {
  .buttons { display: flex; flex-wrap: wrap; }
  .buttons button.action { flex: 1 1 auto; white-space: nowrap; }
}
@container (min-width: 640px) {
  .parts { display: flex; flex-wrap: wrap; gap: 4px 32px; }
  .mark.minor span { display: inline; }
  .plot { height: 150px; }
}
@media (prefers-reduced-motion: no-preference) {
  .bar span { transition: width .3s; }
}
`;
