// Starts the viewer: reads the study, wires tools, gestures and keys to it.

import { endView, readStudy } from "./archive.js";
import { listen as listenToGestures } from "./gestures.js";
import { listen as listenToKeys } from "./keys.js";
import { markSeries, showAttachments, showBanner, showSeries } from "./strip.js";
import { node } from "./text.js";
import { Viewer } from "./viewer.js";

const element = (id) => document.getElementById(id);
const TOOLS = ["window", "scroll", "zoom", "pan"];
let tool = matchMedia("(pointer: coarse)").matches ? "scroll" : "window";

history.replaceState(null, "", location.pathname); // whatever else the address said is of no more use

/** The series as the viewer walks it: a slot for each frame of each image, in order. */
function walkable(series) {
  const slots = series.images.flatMap((image) => Array.from({ length: image.frames }, (_, frame) => ({ image, frame })));
  const title = [series.number ?? "", series.description || "Series"].filter((part) => part !== "").join(" · ");
  const summary = `${series.modality || "?"} · ${slots.length} ${slots.length === 1 ? "picture" : "pictures"}`;
  return { ...series, slots, title, summary, place: 0, look: { window: null, invert: false } };
}

function fail(message) {
  element("patient").textContent = "Filmjacket";
  element("busy").hidden = true;
  element("problem").hidden = false;
  element("reason").textContent = message;
}

function choices(about) {
  const own = about?.windows ?? [];
  const named = [{ name: "As in the file", value: null }];
  own.slice(1).forEach((window, n) => named.push({ name: window.name || `File's window ${n + 2}`, value: window }));
  (about?.presets ?? []).forEach(({ name, center, width }) => named.push({ name, value: { center, width, function: "LINEAR" } }));
  return named;
}

function drawPresets(viewer) {
  const select = element("presets");
  const all = choices(viewer.about);
  const same = (a, b) => (a && b ? a.center === b.center && a.width === b.width : a === b);
  const chosen = all.findIndex(({ value }) => same(value, viewer.series.look.window));
  const names = all.map(({ name, value }) => (value ? `${name} (${value.center} / ${value.width})` : name));
  if (chosen < 0) names.push("By hand");
  if (names.join() !== select.dataset.names) {
    select.replaceChildren(...names.map((textContent, n) => node("option", { textContent, value: String(n) })));
    select.dataset.names = names.join();
  }
  select.value = String(chosen < 0 ? names.length - 1 : chosen);
  return all;
}

function press(selector, on) {
  document.querySelector(selector).setAttribute("aria-pressed", String(on));
}

function start(study) {
  study.series = study.series.map(walkable);
  showBanner(study);
  showAttachments(study.attachments);
  if (!study.series.length) {
    fail("This study has no pictures.");
    showBanner(study);
    return;
  }
  let windows = [];
  const viewer = new Viewer(study, () => {
    windows = drawPresets(viewer);
    markSeries(study.series, viewer.series);
    press("[data-do=invert]", viewer.invert);
    press("[data-do=cine]", viewer.playing);
    document.querySelector("[data-do=cine]").textContent = viewer.playing ? "Stop" : "Play";
  });
  const act = {
    tool: () => tool,
    choose(n) {
      tool = TOOLS[n];
      for (const name of TOOLS) press(`[data-tool=${name}]`, name === tool);
    },
    scroll: (steps) => viewer.scroll(steps),
    go: (place) => viewer.go(place),
    series: (step) => viewer.beside(step),
    window: (dx, dy) => viewer.dragWindow(dx, dy),
    windowDone: () => viewer.dropWindow(),
    nudge: (center, width) => viewer.nudge(center, width),
    preset(step) {
      const next = (Number(element("presets").value) + step) % windows.length;
      viewer.setWindow(windows[next].value);
    },
    invert: () => viewer.toggleInvert(),
    pan: (x, y) => viewer.pan(x, y),
    zoom: (factor, x, y) => viewer.zoom(factor, x, y),
    fit: () => viewer.fit(),
    original: () => viewer.original(),
    reset: () => viewer.reset(),
    cine: () => viewer.cine(),
    hurry: (factor) => viewer.hurry(factor),
    text() {
      const off = element("overlay").classList.toggle("off");
      press("[data-do=text]", !off);
    },
    help,
    async end() {
      try {
        await endView();
      } finally {
        location.replace("/login.html"); // a view that has ended already is as good
      }
    },
    escape: () => viewer.stop(),
  };
  wire(act, viewer, () => windows);
  showSeries(study.series, (series) => viewer.open(series));
  viewer.open(study.series[0]);
  element("stage").focus({ preventScroll: true });
}

/** Escape closes it too: the browser sees to that, and to the focus. */
function help() {
  const panel = element("help");
  if (panel.open) panel.close();
  else panel.showModal();
}

function wire(act, viewer, windows) {
  act.choose(TOOLS.indexOf(tool));
  for (const button of document.querySelectorAll("[data-tool]")) {
    button.addEventListener("click", () => act.choose(TOOLS.indexOf(button.dataset.tool)));
  }
  for (const button of document.querySelectorAll("[data-do]")) {
    button.addEventListener("click", () => act[button.dataset.do]());
  }
  element("presets").addEventListener("change", (event) => {
    const chosen = windows()[Number(event.target.value)];
    if (chosen) viewer.setWindow(chosen.value);
  });
  element("slider").addEventListener("input", (event) => viewer.go(Number(event.target.value)));
  listenToGestures(element("stage"), act);
  listenToKeys(act);
}

try {
  start(await readStudy());
} catch (error) {
  fail(error.message);
}
