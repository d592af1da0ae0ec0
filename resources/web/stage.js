// The dark area with one picture: where it lies, how large it is, in pixels of the screen.

const SMALLEST = 0.02;
const LARGEST = 40;

export class Stage {
  #canvas;
  #context;
  #picture;
  #aspect = 1; // height of a pixel over its width
  #scale = null; // pixels of the screen a pixel of the picture; null fits it into the window
  #x = 0; // how far the middle of the picture is from the middle of the stage
  #y = 0;
  #asked = false;

  /** `changed()` is called when the size of the picture on the screen may have changed. */
  constructor(canvas, changed) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d", { alpha: false });
    new ResizeObserver(() => {
      this.#resize();
      changed();
    }).observe(canvas.parentElement);
    this.#resize();
  }

  show(picture, aspect = 1) {
    this.#picture = picture;
    this.#aspect = aspect || 1;
    this.redraw();
  }

  clear() {
    this.#picture = undefined;
    this.redraw();
  }

  get scale() {
    return this.#scale ?? this.#fitting();
  }

  get fits() {
    return this.#scale === null;
  }

  fit() {
    this.#scale = null;
    this.#x = this.#y = 0;
    this.redraw();
  }

  /** One pixel of the picture on one of the screen, in the middle. */
  original() {
    this.#scale = 1;
    this.#x = this.#y = 0;
    this.redraw();
  }

  /** `x`, `y` in CSS pixels. */
  pan(x, y) {
    this.#x += x * devicePixelRatio;
    this.#y += y * devicePixelRatio;
    this.redraw();
  }

  /** The point `x`, `y` (CSS pixels within the stage; the middle if not said) stays where it is. */
  zoom(factor, x, y) {
    const before = this.scale;
    const after = Math.min(LARGEST, Math.max(SMALLEST, before * factor));
    const fromMiddle = (at, size) => (at === undefined ? 0 : at * devicePixelRatio - size / 2);
    const px = fromMiddle(x, this.#canvas.width);
    const py = fromMiddle(y, this.#canvas.height);
    this.#x = px - (px - this.#x) * (after / before);
    this.#y = py - (py - this.#y) * (after / before);
    this.#scale = after;
    this.redraw();
  }

  redraw() {
    if (this.#asked) return;
    this.#asked = true;
    requestAnimationFrame(() => {
      this.#asked = false;
      this.#draw();
    });
  }

  #resize() {
    const box = this.#canvas.parentElement.getBoundingClientRect();
    const width = Math.max(1, Math.round(box.width * devicePixelRatio));
    const height = Math.max(1, Math.round(box.height * devicePixelRatio));
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      this.#canvas.width = width;
      this.#canvas.height = height;
    }
    this.#draw();
  }

  #shape() {
    const { width, height } = this.#picture;
    return this.#aspect >= 1 ? [width, height * this.#aspect] : [width / this.#aspect, height];
  }

  #fitting() {
    if (!this.#picture) return 1;
    const [width, height] = this.#shape();
    return Math.min(this.#canvas.width / width, this.#canvas.height / height);
  }

  #draw() {
    const context = this.#context;
    context.fillStyle = "#0B0D10";
    context.fillRect(0, 0, this.#canvas.width, this.#canvas.height);
    if (!this.#picture) return;
    const scale = this.scale;
    const [width, height] = this.#shape().map((side) => Math.max(1, Math.round(side * scale)));
    const left = Math.round((this.#canvas.width - width) / 2 + this.#x);
    const top = Math.round((this.#canvas.height - height) / 2 + this.#y);
    context.imageSmoothingEnabled = width !== this.#picture.width || height !== this.#picture.height;
    context.imageSmoothingQuality = scale < 1 ? "high" : "medium";
    context.drawImage(this.#picture, left, top, width, height);
  }
}
