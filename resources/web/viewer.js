// The viewer's state and what can be done with it: which picture of which series, seen through which window.

import { describe, documentUrl, isKnown, known, objectUrl, pictureUrl } from "./archive.js";
import { Cine } from "./cine.js";
import { showOverlay } from "./overlay.js";
import { Pictures } from "./pictures.js";
import { Stage } from "./stage.js";
import { number } from "./text.js";

const LOSSLESS_PIXELS = 1_600_000; // larger grey pictures, and colours, travel as JPEG
const AHEAD = 8;
const BEHIND = 4;
const LOOP_AHEAD = 40;
const DESCRIBE_AFTER_MS = 60;
const SAY_AFTER_MS = 500;
const WHOLE_RANGE = { center: 128, width: 256, function: "LINEAR" }; // of colours
const element = (id) => document.getElementById(id);

export class Viewer {
  #study;
  #series;
  #place = 0;
  #direction = 1;
  #dragging = false;
  #again = false;
  #shown = ""; // address of the picture on the stage
  #saying;
  #pictures = new Pictures((url) => this.#arrived(url));
  #stage = new Stage(element("canvas"), () => this.#tell());
  #cine;
  #changed;

  /** `changed()` is called when tools or series must be drawn anew. */
  constructor(study, changed) {
    this.#study = study;
    this.#changed = changed;
    this.#cine = new Cine({
      range: () => this.#loop(),
      place: () => this.#place,
      ready: (place) => this.#pictures.has(this.#url(place)),
      go: (place) => this.#show(place),
      missing: () => this.#want(),
      stopped: () => this.refresh(),
      rate: (text) => (element("rate").textContent = text),
    });
  }

  get series() {
    return this.#series;
  }

  get playing() {
    return this.#cine.playing;
  }

  get invert() {
    return this.#series?.look.invert ?? false;
  }

  get about() {
    return this.#series && known(this.#slot);
  }

  get #slot() {
    return this.#series.slots[this.#place];
  }

  open(series) {
    this.#cine.stop();
    if (this.#series) this.#series.place = this.#place;
    this.#series = series;
    this.#place = series.place;
    this.#shown = "";
    this.#stage.clear();
    this.#stage.fit();
    this.refresh();
  }

  /** The series beside this one. */
  beside(step) {
    const all = this.#study.series;
    const next = all[all.indexOf(this.#series) + step];
    if (next) this.open(next);
  }

  scroll(steps) {
    this.go(this.#place + steps);
  }

  go(place) {
    const last = this.#series.slots.length - 1;
    const next = Math.min(last, Math.max(0, place));
    if (next === this.#place) return;
    this.#direction = Math.sign(next - this.#place);
    this.#place = next;
    this.refresh();
  }

  /** Change the window by parts of its own width. */
  nudge(center, width) {
    const now = this.#window();
    if (now) this.setWindow({ ...now, center: now.center + center * now.width, width: now.width * (1 + width) });
  }

  /** A drag over the stage, in CSS pixels: across for the width, down for the centre. */
  dragWindow(dx, dy) {
    const now = this.#window();
    if (!now) return;
    const step = Math.max(0.002 * now.width, now.width < 20 ? 0.02 : 0.2);
    this.#dragging = true;
    this.setWindow({ ...now, center: now.center + dy * step, width: now.width + dx * step });
  }

  dropWindow() {
    this.#dragging = false;
    this.refresh();
  }

  /** null is the frame's own. */
  setWindow(window) {
    if (window) {
      const least = window.function === "LINEAR" ? 1 : 1e-6;
      const width = Math.max(least, window.width);
      const digits = width < 20 ? 4 : 1;
      const round = (value) => Number(value.toFixed(digits));
      window = { center: round(window.center), width: round(width), function: window.function };
    }
    this.#series.look = { ...this.#series.look, window };
    this.refresh();
  }

  toggleInvert() {
    this.#series.look = { ...this.#series.look, invert: !this.#series.look.invert };
    this.refresh();
  }

  pan(x, y) {
    this.#stage.pan(x, y);
  }

  zoom(factor, x, y) {
    this.#stage.zoom(factor, x, y);
    this.#tell();
  }

  fit() {
    this.#stage.fit();
    this.#tell();
  }

  original() {
    this.#stage.original();
    this.#tell();
  }

  reset() {
    this.#series.look = { window: null, invert: false };
    this.#stage.fit();
    this.refresh();
  }

  cine() {
    this.#cine.toggle();
    this.refresh();
  }

  stop() {
    this.#cine.stop();
  }

  hurry(factor) {
    this.#cine.hurry(factor);
  }

  /** Show what the state says, as far as it is here, and ask for the rest. */
  async refresh() {
    this.#draw();
    this.#want();
    this.#changed();
    const slot = this.#slot;
    if (this.playing || isKnown(slot)) return;
    if (known(this.#series.slots[0])) {
      await new Promise((done) => setTimeout(done, DESCRIBE_AFTER_MS)); // who scrolls by asks for none
      if (slot !== this.#slot) return;
    }
    try {
      await describe(slot);
    } catch {
      return; // the picture itself says what is wrong
    }
    if (slot === this.#slot) {
      this.#draw(); // its shape and format may be other than was thought
      this.#want();
      this.#changed();
    }
  }

  #window() {
    const about = known(this.#slot);
    return this.#series.look.window ?? about?.windows[0] ?? (about?.colour ? WHOLE_RANGE : undefined);
  }

  #url(place) {
    const slot = this.#series.slots[place];
    const about = this.#alike(slot);
    const large = about && (about.colour || about.rows * about.columns > LOSSLESS_PIXELS);
    const format = large || this.#dragging ? "jpeg" : "png";
    return pictureUrl(slot, this.#series.look, format);
  }

  /** What is known of a picture, else of the first one of its series: good for its shape, not for its place. */
  #alike(slot) {
    return known(slot) ?? known(this.#series.slots[0]);
  }

  #loop() {
    const { frames } = this.#slot.image;
    if (frames < 2) return { first: 0, count: this.#series.slots.length, times: [], single: true };
    const first = this.#place - this.#slot.frame;
    return { first, count: frames, times: known(this.#slot)?.frame_times_ms ?? [], single: false };
  }

  #show(place) {
    this.#place = place;
    this.#draw();
    this.#want();
  }

  #want() {
    const count = this.#series.slots.length;
    if (this.#dragging) {
      this.#again = this.#pictures.busy; // one at a time; the newest when that one is here
      if (!this.#again) this.#pictures.want([this.#url(this.#place)]);
      return;
    }
    let places = [this.#place];
    if (this.playing) places = this.#cine.ahead(this.#place, LOOP_AHEAD);
    else {
      for (let n = 1; n <= AHEAD; n++) places.push(this.#place + n * this.#direction);
      for (let n = 1; n <= BEHIND; n++) places.push(this.#place - n * this.#direction);
    }
    this.#pictures.want(places.filter((n) => n >= 0 && n < count).map((n) => this.#url(n)));
  }

  #arrived(url) {
    if (!this.#series) return;
    if (this.#dragging && this.#pictures.get(url)) {
      this.#put(url); // on the way to the window that is wanted by now
      if (this.#again) this.#want();
    } else if (url === this.#url(this.#place)) this.#draw();
  }

  #put(url) {
    this.#shown = url;
    this.#stage.show(this.#pictures.get(url), this.#alike(this.#slot)?.pixel_aspect);
    element("problem").hidden = element("busy").hidden = true;
    element("stage").dataset.shown = url;
    this.#tell();
  }

  #draw() {
    if (!this.#series) return;
    const url = this.#url(this.#place);
    const problem = this.#pictures.problem(url);
    if (this.#pictures.has(url)) this.#put(url);
    else if (problem) {
      this.#shown = "";
      this.#stage.clear();
      element("busy").hidden = true;
      element("problem").hidden = false;
      this.#refuse(problem);
      delete element("stage").dataset.shown;
      this.#tell();
    } else {
      if (this.#shown.split("?")[0] !== url.split("?")[0]) this.#stage.clear(); // never another's picture
      element("problem").hidden = true;
      element("busy").hidden = false;
      delete element("stage").dataset.shown;
      this.#tell();
    }
  }

  #refuse(problem) {
    const { document: inside } = this.#slot.image;
    element("reason").textContent = inside ? problem : `No picture\n${problem}`;
    element("document").hidden = !inside;
    if (inside) element("document").href = documentUrl(this.#slot);
  }

  #tell() {
    if (!this.#series) return;
    const [series, slot, place] = [this.#series, this.#slot, this.#place];
    const about = known(slot);
    showOverlay({
      study: this.#study,
      series,
      slot,
      place,
      about,
      exact: isKnown(slot),
      window: series.look.window,
      invert: series.look.invert,
      scale: this.#stage.scale,
    });
    const whole = element("object");
    whole.hidden = this.#study.role !== "diagnostic";
    if (!whole.hidden) whole.href = objectUrl(slot);
    const slider = element("slider");
    slider.max = String(series.slots.length - 1);
    slider.value = String(place);
    const text = `${place + 1} / ${series.slots.length}`;
    element("position").textContent = text;
    slider.setAttribute("aria-valuetext", `Picture ${place + 1} of ${series.slots.length}`);
    if (!this.playing) this.#say(series, place);
  }

  /** For those who listen: what is shown, once it stays. */
  #say(series, place) {
    clearTimeout(this.#saying);
    this.#saying = setTimeout(() => {
      const window = this.#window();
      const problem = element("problem").hidden ? "" : ` ${element("reason").textContent.replace("\n", ": ")}`;
      const words = `Picture ${place + 1} of ${series.slots.length}, ${series.title}.`;
      const seen = window ? ` Window centre ${number(window.center)}, width ${number(window.width)}.` : "";
      element("now").textContent = words + seen + problem;
      element("stage").setAttribute("aria-label", words);
    }, SAY_AFTER_MS);
  }
}
