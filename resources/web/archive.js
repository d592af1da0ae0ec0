// The archive as this page sees it: one study, addressed below the page's own path.

const base = location.pathname.replace(/\/+$/, "");

/** Something went wrong; the message is a sentence for people. `lasting` means asking again is no use. */
export class Problem extends Error {
  constructor(message, status = 0) {
    super(message);
    this.lasting = status >= 400 && status < 500;
  }
}

/** A response that is fine. Throws Problem, or AbortError if `signal` says so. */
export async function ask(url, signal, method = "GET") {
  let response;
  try {
    response = await fetch(url, { method, signal, credentials: "same-origin" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The archive does not answer. Check the connection.");
  }
  if (response.ok) return response;
  let message = "";
  try {
    message = (await response.json()).message;
  } catch {
    // no JSON: the status must do
  }
  throw new Problem(message || `The archive answered ${response.status}.`, response.status);
}

/** Patient, series, attachments. */
export async function readStudy() {
  return (await ask(`${base}/study`)).json();
}

function frameUrl(slot) {
  const { uid, version } = slot.image;
  return `${base}/image/${encodeURIComponent(uid)}/version/${encodeURIComponent(version)}/frame/${slot.frame}`;
}

/** Address of a frame as the server renders it through `look`; it names everything the picture depends on. */
export function pictureUrl(slot, look, format) {
  const query = new URLSearchParams({ format });
  if (look.window) {
    query.set("window", `${look.window.center},${look.window.width}`);
    query.set("function", look.window.function);
  }
  if (look.invert) query.set("invert", "1");
  return `${frameUrl(slot)}?${query}`;
}

/** End the view. Throws Problem. */
export const endView = () => ask(`${base}/end`, undefined, "POST");

export const thumbnailUrl = (slot) => `${frameUrl(slot)}/thumbnail`;

export const attachmentUrl = (each) =>
  `${base}/attachment/${encodeURIComponent(each.id)}/version/${encodeURIComponent(each.version)}`;

/** Where the DICOM object itself lies. */
export const objectUrl = ({ image }) =>
  `${base}/image/${encodeURIComponent(image.uid)}/version/${encodeURIComponent(image.version)}/object`;

/** Where the PDF inside an image lies. */
export const documentUrl = ({ image }) =>
  `${base}/image/${encodeURIComponent(image.uid)}/version/${encodeURIComponent(image.version)}/document`;

const described = new Map();

/** What is known of a frame already, of another frame of its image if need be; undefined if nothing. */
export function known(slot) {
  const of = (frame) => described.get(`${slot.image.uid}/${slot.image.version}/${frame}`);
  const found = [of(slot.frame), of(0)].find((each) => each && !(each instanceof Promise));
  return found;
}

/** Whether exactly this frame has been described. */
export function isKnown(slot) {
  const found = described.get(`${slot.image.uid}/${slot.image.version}/${slot.frame}`);
  return found !== undefined && !(found instanceof Promise);
}

/** Size, windows, orientation and timing of a frame. Throws Problem. */
export async function describe(slot) {
  const key = `${slot.image.uid}/${slot.image.version}/${slot.frame}`;
  if (!described.has(key)) {
    const asking = ask(`${frameUrl(slot)}/description`).then((response) => response.json());
    described.set(key, asking);
    try {
      described.set(key, await asking);
    } catch (error) {
      described.delete(key);
      throw error;
    }
  }
  return described.get(key);
}
