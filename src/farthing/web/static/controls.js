// Sliders beside numbers, and the parts of a cluster above its text. The text fields are what counts.
"use strict";
(() => {
  const changed = (field) => field.dispatchEvent(new Event("input", { bubbles: true }));

  // Steps of a slider are powers of two, and what lies half between them.
  const steps = (least, most) => {
    const found = [];
    for (let value = least; value <= most; value *= 2) {
      found.push(value);
      if (value > 1 && value * 1.5 <= most && Number.isInteger(value * 1.5)) found.push(value * 1.5);
    }
    return found;
  };
  const number = (text) => {
    const match = /^\s*([0-9.]+)\s*([kM]?)\s*$/.exec(text);
    return match ? Number(match[1]) * { "": 1, k: 1e3, M: 1e6 }[match[2]] : NaN;
  };
  const readSlider = (slider) => {
    const field = document.getElementById(slider.dataset.for);
    const values = steps(Number(slider.dataset.least), Number(slider.dataset.most));
    slider.max = values.length - 1;
    const value = number(field.value);
    const place = values.findLastIndex((one) => one <= value);
    slider.value = Number.isNaN(value) ? 0 : Math.max(place, 0);
    slider.setAttribute("aria-valuetext", field.value || field.placeholder);
    slider.hidden = false;
  };

  const PATTERN = /^(?:(\d+)x(\d+):)?([a-z0-9.-]+)(?:@([a-z0-9.-]+))?$/;
  const readCluster = (group) => {
    const field = group.querySelector("[name]");
    const match = PATTERN.exec(field.value.trim().toLowerCase());
    const parts = group.querySelector(".parts");
    // Unlike machines have no parts to set one by one; their text can be changed.
    parts.hidden = !match && field.value.trim() !== "" && !parts.contains(document.activeElement);
    const [, hosts = "1", cards = "1", accelerator = "", network = ""] = match || [];
    const values = { hosts, cards, accelerator, network };
    for (const part of parts.querySelectorAll("[data-part]"))
      if (part !== document.activeElement) part.value = values[part.dataset.part];
  };
  const writeCluster = (group) => {
    const value = Object.fromEntries([...group.querySelectorAll("[data-part]")].map((part) =>
      [part.dataset.part, part.value.trim()]));
    const whole = (text) => Number.isInteger(Number(text)) && Number(text) >= 1 && Number(text) < 1e6;
    for (const name of ["hosts", "cards"])
      group.querySelector(`[data-part="${name}"]`).setAttribute("aria-invalid", String(!whole(value[name])));
    if (!value.accelerator || !whole(value.hosts) || !whole(value.cards)) return;
    const network = value.network || (Number(value.hosts) > 1 ? "10gbe" : "");
    const field = group.querySelector("[name]");
    field.value = `${Number(value.hosts)}x${Number(value.cards)}:${value.accelerator}${network ? `@${network}` : ""}`;
    changed(field);
  };

  // Several clusters: a line for each, which together make the text.
  const readClusters = (group, more = false) => {
    const field = group.querySelector("[name]");
    const lines = group.querySelector(".several");
    if (lines.contains(document.activeElement) && document.activeElement.matches("input")) return;
    const names = field.value.split(",").map((name) => name.trim()).filter(Boolean);
    if (more) names.push("");
    lines.replaceChildren(...names.map((name, place) => {
      const line = document.createElement("div");
      line.className = "line";
      const input = document.createElement("input");
      input.value = name;
      input.spellcheck = false;
      input.dataset.line = place;
      input.setAttribute("aria-label", `Cluster ${place + 1}`);
      const drop = document.createElement("button");
      drop.type = "button";
      drop.className = "quiet-button";
      drop.textContent = "×";
      drop.dataset.drop = place;
      drop.setAttribute("aria-label", `Leave out ${name || "the empty line"}`);
      input.placeholder = "1x8:h100-sxm";
      input.setAttribute("list", "accelerators");
      line.append(input, drop);
      return line;
    }));
    if (names.length < 6) {
      const add = document.createElement("button");
      add.type = "button";
      add.className = "quiet-button";
      add.textContent = "Add a cluster";
      add.dataset.add = "";
      lines.append(add);
    }
    lines.hidden = false;
    field.hidden = true;
  };
  const writeClusters = (group, names) => {
    const field = group.querySelector("[name]");
    field.value = names.filter(Boolean).join(",");
    changed(field);
  };
  let typing;
  const linesOf = (group) => [...group.querySelectorAll("[data-line]")].map((line) => line.value.trim());
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-drop], [data-add]");
    if (!button) return;
    const group = button.closest("[data-clusters]");
    const names = linesOf(group);
    if ("add" in button.dataset) {
      // An empty line asks nothing until something stands in it.
      readClusters(group, true);
      [...group.querySelectorAll("[data-line]")].at(-1).focus();
      return;
    }
    const place = Number(button.dataset.drop);
    names.splice(place, 1);
    writeClusters(group, names);
    const left = group.querySelectorAll("[data-drop]");
    (left[Math.min(place, left.length - 1)] || group.querySelector("[data-add]"))?.focus();
  });

  const read = () => {
    document.querySelectorAll(".slider").forEach(readSlider);
    document.querySelectorAll("[data-cluster]").forEach(readCluster);
    document.querySelectorAll("[data-clusters]").forEach(readClusters);
  };
  // Only what has a name is a question; a slider or a part writes into the field that has one.
  document.addEventListener("input", (event) => {
    const { target } = event;
    if (target.matches(".slider")) {
      event.stopPropagation();
      const values = steps(Number(target.dataset.least), Number(target.dataset.most));
      const field = document.getElementById(target.dataset.for);
      field.value = values[Number(target.value)];
      changed(field);
    } else if (target.dataset.part) {
      event.stopPropagation();
      // A name that is being typed is no name yet.
      if (target.type === "number" || document.getElementById(target.getAttribute("list"))?.querySelector(`option[value="${CSS.escape(target.value)}"]`) || target.value === "")
        writeCluster(target.closest("[data-cluster]"));
    } else if (target.dataset.line) {
      event.stopPropagation();
      clearTimeout(typing);
      const group = target.closest("[data-clusters]");
      target.nextElementSibling.setAttribute("aria-label", `Leave out ${target.value}`);
      typing = setTimeout(() => writeClusters(group, linesOf(group)), 500);
    } else if (target.name) read();
  }, true);
  document.addEventListener("change", (event) => {
    if (event.target.dataset.part) writeCluster(event.target.closest("[data-cluster]"));
    if (event.target.dataset.line) {
      clearTimeout(typing);
      const group = event.target.closest("[data-clusters]");
      writeClusters(group, linesOf(group));
    }
  });
  read();
})();
