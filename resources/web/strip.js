// What surrounds the picture: patient and study on top, series with thumbnails, attachments.

import { attachmentUrl, thumbnailUrl } from "./archive.js";
import { date, node, personName, size } from "./text.js";

const SEXES = { F: "female", M: "male", O: "other" };

export function showBanner(study) {
  const patient = document.getElementById("patient");
  patient.textContent = personName(study.patient_name);
  patient.title = study.patient_name;
  const facts = [
    ["ID", study.patient_id || "none"],
    ["Born", date(study.patient_birth_date) || "unknown"],
    ["Sex", SEXES[study.patient_sex] ?? (study.patient_sex || "unknown")],
    ["Study", [date(study.study_date), study.study_description].filter(Boolean).join(" · ") || "no description"],
    ["Accession", study.accession_number],
    ["State", study.receiving ? "still arriving: open the link again for the rest" : ""],
  ];
  const shown = facts.filter(([, value]) => value);
  document
    .getElementById("facts")
    .replaceChildren(...shown.map(([name, value]) => node("div", {}, node("dt", { textContent: name }), node("dd", { textContent: value }))));
}

/** One button a series; `choose(series)` when it is pressed. */
export function showSeries(all, choose) {
  const list = document.getElementById("series");
  list.replaceChildren(
    ...all.map((series) => {
      const words = node("span", { className: "words" });
      words.append(
        node("strong", { textContent: series.title }),
        node("br"),
        node("span", { className: "muted", textContent: series.summary }),
      );
      const button = node("button", { type: "button" }, thumbnail(series), words);
      button.addEventListener("click", () => choose(series));
      series.button = button;
      return node("li", {}, button);
    }),
  );
}

export function markSeries(all, current) {
  for (const series of all) series.button.setAttribute("aria-current", String(series === current));
  current.button.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function thumbnail(series) {
  const middle = series.slots[Math.floor(series.slots.length / 2)];
  const picture = node("img", { alt: "", loading: "lazy", width: 72, height: 72, src: thumbnailUrl(middle) });
  picture.addEventListener("error", () => picture.replaceWith(node("span", { className: "none", textContent: "No picture" })));
  return picture;
}

export function showAttachments(attachments) {
  document.getElementById("documents").hidden = attachments.length === 0;
  document.getElementById("attachments").replaceChildren(
    ...attachments.map((each) => {
      const link = node("a", { href: attachmentUrl(each), target: "_blank", rel: "noopener noreferrer" });
      link.append(each.name || "Unnamed document", node("span", { className: "hint", textContent: ` ${size(each.bytes)}` }));
      link.title = "Opens in a new tab";
      return node("li", {}, link);
    }),
  );
}
