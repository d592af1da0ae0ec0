// Plays a loop at the rate its file says; waits for frames that are not here yet rather than leave them out.

const LOOP_MS = 50; // where a file with frames says nothing
const STACK_MS = 100; // single pictures one after another
const FARTHEST_BEHIND_MS = 500;

export class Cine {
  playing = false;
  #host;
  #factor = 1;
  #due = 0;
  #shown = [];

  /** `host`: range() -> {first, count, times}, place(), ready(place), go(place), stopped(), rate(text). */
  constructor(host) {
    this.#host = host;
  }

  toggle() {
    if (this.playing) this.stop();
    else this.#start();
  }

  stop() {
    if (!this.playing) return;
    this.playing = false;
    this.#host.rate("");
    this.#host.stopped();
  }

  /** Faster or slower by a factor; 1 is the true rate. */
  hurry(factor) {
    this.#factor = factor === 1 ? 1 : Math.min(8, Math.max(1 / 8, this.#factor * factor));
  }

  /** The places played after `place`, in order. */
  ahead(place, most) {
    const { first, count } = this.#host.range();
    const offset = place - first;
    return Array.from({ length: Math.min(most, count) }, (_, n) => first + ((offset + n) % count));
  }

  #start() {
    if (this.#host.range().count < 2) return;
    this.playing = true;
    this.#shown = [];
    this.#due = performance.now() + this.#duration(this.#host.place());
    requestAnimationFrame((now) => this.#tick(now));
  }

  #duration(place) {
    const { first, times, single } = this.#host.range();
    const said = times.length > 1 ? times[place - first] : times[0];
    return (said ?? (single ? STACK_MS : LOOP_MS)) / this.#factor;
  }

  #tick(now) {
    if (!this.playing) return;
    let place = this.#host.place();
    let moved = false;
    while (now >= this.#due) {
      const { first, count } = this.#host.range();
      const next = first + ((place - first + 1) % count);
      if (!this.#host.ready(next)) {
        this.#due = now; // the clock waits with the picture
        this.#host.missing(place);
        break;
      }
      place = next;
      moved = true;
      this.#due += this.#duration(place);
      this.#shown.push(now);
      if (now - this.#due > FARTHEST_BEHIND_MS) this.#due = now + this.#duration(place);
    }
    if (moved) this.#host.go(place);
    this.#tell(now);
    requestAnimationFrame((later) => this.#tick(later));
  }

  #tell(now) {
    while (this.#shown.length && now - this.#shown[0] > 1000) this.#shown.shift();
    const wanted = 1000 / this.#duration(this.#host.place());
    this.#host.rate(`${this.#shown.length} of ${Math.round(wanted * 10) / 10}/s`);
  }
}
