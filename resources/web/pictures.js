// Decoded pictures by address: a few on their way at a time, the nearest first, the latest kept.

import { Problem, ask } from "./archive.js";

const AT_ONCE = 4;
const BUDGET = 256 * 1024 * 1024;
const AGAIN_MS = 2000;

export class Pictures {
  #kept = new Map(); // url -> ImageBitmap, the one used last at the end
  #size = 0;
  #failed = new Map(); // url -> {message, lasting, at}
  #wanted = [];
  #flying = new Map(); // url -> AbortController
  #arrived;

  /** `arrived(url)` is called when a picture is there or has failed. */
  constructor(arrived) {
    this.#arrived = arrived;
  }

  /** The picture if it is here. */
  get(url) {
    const picture = this.#kept.get(url);
    if (picture) {
      this.#kept.delete(url);
      this.#kept.set(url, picture);
    }
    return picture;
  }

  has(url) {
    return this.#kept.has(url);
  }

  /** Why there is no picture, undefined if nothing is wrong. */
  problem(url) {
    return this.#failed.get(url)?.message;
  }

  get busy() {
    return this.#flying.size > 0;
  }

  /** From now on these are wanted, the first one most; what else is on its way is called off. */
  want(urls) {
    const all = new Set(urls);
    for (const [url, controller] of this.#flying) if (!all.has(url)) controller.abort();
    this.#wanted = urls.filter((url) => !this.#kept.has(url) && !this.#flying.has(url) && this.#mayTry(url));
    this.#start();
  }

  #mayTry(url) {
    const failure = this.#failed.get(url);
    if (!failure) return true;
    if (failure.lasting || performance.now() - failure.at < AGAIN_MS) return false;
    this.#failed.delete(url);
    return true;
  }

  #start() {
    while (this.#flying.size < AT_ONCE && this.#wanted.length) this.#fetch(this.#wanted.shift());
  }

  async #fetch(url) {
    const controller = new AbortController();
    this.#flying.set(url, controller);
    let aborted = false;
    try {
      const blob = await (await ask(url, controller.signal)).blob();
      this.#keep(url, await decode(blob));
    } catch (error) {
      aborted = error.name === "AbortError";
      if (!aborted) this.#fail(url, error);
    } finally {
      if (this.#flying.get(url) === controller) this.#flying.delete(url);
      this.#start();
    }
    if (!aborted) this.#arrived(url);
  }

  #fail(url, error) {
    const lasting = error instanceof Problem && error.lasting;
    this.#failed.set(url, { message: error.message, lasting, at: performance.now() });
  }

  #keep(url, picture) {
    this.#kept.set(url, picture);
    this.#size += bytes(picture);
    for (const [oldest, old] of this.#kept) {
      if (this.#size <= BUDGET || oldest === url) break;
      this.#kept.delete(oldest);
      this.#size -= bytes(old); // not closed: the stage may be showing it
    }
  }
}

const bytes = (picture) => picture.width * picture.height * 4;

async function decode(blob) {
  try {
    return await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new Problem("The browser cannot show this picture.", 415);
  }
}
