// Text on the picture: whose it is, which one it is, how it is shown, and where it lies in the patient.

import { date, number, personName } from "./text.js";

const set = (id, lines) => {
  const text = lines.filter(Boolean).join("\n");
  const place = document.getElementById(id);
  if (place.textContent !== text) place.textContent = text;
};

/** `about` is the frame's description, undefined until it is known; `exact` says that it is this frame's own. */
export function showOverlay({ study, series, slot, place, about, exact, window, invert, scale }) {
  set("tl", [
    personName(study.patient_name),
    study.patient_id && `ID ${study.patient_id}`,
    [date(study.patient_birth_date), study.patient_sex].filter(Boolean).join(" "),
  ]);
  set("tr", [study.study_description, date(study.study_date), series.title]);
  set("bl", [
    `Image ${place + 1} of ${series.slots.length}`,
    slot.image.frames > 1 && `Frame ${slot.frame + 1} of ${slot.image.frames}`,
    exact && typeof about?.slice_location_mm === "number" && `Position ${number(about.slice_location_mm)} mm`,
    typeof about?.slice_thickness_mm === "number" && `Thickness ${number(about.slice_thickness_mm)} mm`,
    [about?.laterality, about?.view_position].filter(Boolean).join(" "),
    slot.image.conflict && "⚠ Identity in doubt",
  ]);
  set("br", [
    windowText(about, window),
    invert && "Inverted",
    `Zoom ${Math.round(scale * 100)} %`,
    about?.lossy && `Lossy compression${about.lossy_ratio ? ` ${number(about.lossy_ratio)}:1` : ""}`,
  ]);
  for (const side of ["left", "right", "top", "bottom"]) set(`edge-${side}`, [exact && about?.edges[side]]);
}

function windowText(about, window) {
  const shown = window ?? about?.windows[0];
  if (!shown) return "";
  if (!window && shown.table) return `Table ${shown.name}`.trim();
  const unit = about?.unit ? ` ${about.unit}` : "";
  return `C ${number(shown.center)}  W ${number(shown.width)}${unit}`;
}
