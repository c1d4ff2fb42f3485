// Draws the charts: the specifications come with the page, the library when the first chart is there.
"use strict";
(() => {
  const own = document.currentScript;
  let library;
  const load = () => library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = own.dataset.library;
    script.onload = () => resolve(window.farthingVega);
    script.onerror = reject;
    document.head.append(script);
  });

  const tip = document.createElement("div");
  tip.id = "tip";
  tip.setAttribute("role", "tooltip");
  tip.hidden = true;
  document.body.append(tip);
  const tooltip = (handler, event, item, value) => {
    tip.hidden = value === null || value === undefined || value === "";
    if (tip.hidden) return;
    tip.replaceChildren();
    for (const [name, words] of typeof value === "object" ? Object.entries(value) : [["", value]]) {
      const line = document.createElement("div");
      line.textContent = name ? `${name}: ${words}` : words;
      tip.append(line);
    }
    const { clientX: x, clientY: y } = event;
    tip.style.left = `${Math.max(8, Math.min(x + 14, innerWidth - tip.offsetWidth - 8))}px`;
    tip.style.top = `${y + 14 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 10 : y + 14}px`;
  };

  const viewOf = async (spec, options) => {
    const { compile, parse, View, Warn, expressionInterpreter } = await load();
    const compiled = compile(spec, { logger: quiet }).spec;
    const view = new View(parse(compiled, null, { ast: true }), { expr: expressionInterpreter, logLevel: Warn, ...options });
    await view.runAsync();
    return view;
  };
  // A page of our own is shown beside the chart, or in the dialog; others open in a tab.
  const follow = (figure, item) => {
    const address = new URL(item.datum.link, location.href);
    if (address.origin !== location.origin) {
      if (/^https?:$/.test(address.protocol)) window.open(address, "_blank", "noopener");
      return;
    }
    figure.querySelectorAll(".picked-point").forEach((mark) => mark.classList.remove("picked-point"));
    item._svg?.classList.add("picked-point");
    const place = figure.querySelector(".picked");
    htmx.ajax("GET", address.href, { target: place ?? "#explanation", swap: "innerHTML" })
      // The dialog alone is named by this title.
      .then(() => place?.querySelector("#explain-title")?.removeAttribute("id"));
  };
  const draw = async (figure) => {
    const { light, dark } = JSON.parse(figure.querySelector("template").content.textContent);
    if (window.farthingTheme.dark) {
      for (const [path, value] of dark) path.slice(0, -1).reduce((part, name) => part[name], light)[path.at(-1)] = value;
    }
    figure.spec = light;
    const place = figure.querySelector(".drawing");
    // The page says the title; a file that is saved has it inside.
    const { title, ...shown } = figure.spec;
    shown.padding = 4;
    const on = { renderer: "svg", container: place, hover: true, tooltip };
    if (figure.view) figure.view.finalize();
    figure.view = await viewOf(shown, on);
    // Narrow screens get a narrower plane, not smaller letters.
    const over = Number(place.querySelector("svg").getAttribute("width")) - place.clientWidth;
    if (over > 0 && typeof shown.width === "number") {
      figure.view.finalize();
      figure.view = await viewOf({ ...shown, width: Math.max(shown.width - over - 2, 160) }, on);
    }
    const drawn = place.querySelector("svg");
    drawn.setAttribute("role", "img");
    drawn.setAttribute("aria-label", figure.spec.description || "");
    figure.view.addEventListener("click", (event, item) => {
      if (typeof item?.datum?.link === "string" && item.datum.link) follow(figure, item);
    });
    figure.dataset.drawn = "yes";
  };
  const silent = () => quiet;
  const quiet = { level: silent, error: silent, warn: silent, info: silent, debug: silent };

  const drawAll = (which = "[data-chart]") => {
    document.querySelectorAll(which).forEach((figure) => draw(figure).catch((error) => {
      figure.querySelector(".drawing").textContent = "This chart cannot be drawn here.";
      console.error(error);
    }));
  };

  const save = (name, address) => {
    const link = document.createElement("a");
    link.download = name;
    link.href = address;
    link.click();
  };
  document.addEventListener("click", async (event) => {
    const kind = event.target.closest("[data-save]")?.dataset.save;
    if (!kind) return;
    const figure = event.target.closest("[data-chart]");
    const name = (figure.spec.title?.text ?? ["chart"]).join(" ").toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 60);
    const whole = kind === "json" ? null : await viewOf(figure.spec, { renderer: "none" });
    if (kind === "png") save(`${name}.png`, await whole.toImageURL("png", 2));
    else {
      const text = kind === "svg" ? await whole.toSVG() : JSON.stringify(figure.spec, null, 1);
      const address = URL.createObjectURL(new Blob([text], { type: kind === "svg" ? "image/svg+xml" : "application/json" }));
      save(`${name}.${kind === "svg" ? "svg" : "vl.json"}`, address);
      setTimeout(() => URL.revokeObjectURL(address), 10_000);
    }
  });
  document.addEventListener("htmx:afterSwap", () => drawAll("[data-chart]:not([data-drawn])"));
  document.addEventListener("htmx:beforeSwap", () => { tip.hidden = true; });
  document.addEventListener("farthing:theme", () => drawAll());
  drawAll();
})();
