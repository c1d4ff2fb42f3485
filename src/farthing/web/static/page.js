// What the page does besides asking: explanations, copying, the theme, and addresses without blanks.
"use strict";
(() => {
  const say = (words) => { document.getElementById("said").textContent = words; };

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.id === "theme") window.farthingTheme.turn();
    if (button.dataset.copy) {
      const text = document.getElementById(button.dataset.copy).textContent;
      try {
        await navigator.clipboard.writeText(text);
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = "Copy"; }, 2000);
        say("Copied");
      } catch {
        const range = document.createRange();
        range.selectNodeContents(document.getElementById(button.dataset.copy));
        getSelection().removeAllRanges();
        getSelection().addRange(range);
        button.textContent = "Selected: press Ctrl-C";
      }
    }
  });

  // What is said about a field goes when that changes: the column that another table was sorted by.
  document.addEventListener("input", ({ target }) => {
    if (!target.id) return;
    for (const field of document.querySelectorAll(`[data-belongs~="${CSS.escape(target.id)}"]`)) field.value = "";
  }, true);

  // A link is shared as it stands: fields that are empty are left out of it.
  document.addEventListener("htmx:configRequest", (event) => {
    const { parameters } = event.detail;
    for (const name of Object.keys(parameters)) if (parameters[name] === "") delete parameters[name];
  });
  document.addEventListener("submit", (event) => {
    for (const field of event.target.querySelectorAll("[name]")) if (field.value === "") field.disabled = true;
    setTimeout(() => { for (const field of event.target.querySelectorAll("[name]")) field.disabled = false; });
  });

  // On a phone the menu is wider than the screen.
  document.querySelector("header [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

  const explain = document.getElementById("explain");
  let folded = new Map();
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.id !== "answer") return;
    // What was unfolded stays so in the next answer.
    folded = new Map([...event.detail.target.querySelectorAll("details > summary")].map((summary) =>
      [summary.textContent, summary.parentElement.open]));
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const target = event.detail.target;
    if (target.id === "explanation") {
      if (!explain.open) explain.showModal();
      explain.scrollTop = 0;
    }
    if (target.id === "answer") {
      target.classList.remove("stale");
      for (const summary of target.querySelectorAll("details > summary"))
        if (folded.get(summary.textContent)) summary.parentElement.open = true;
      const verdict = target.querySelector(".verdict");
      if (verdict) {
        say(verdict.textContent.trim().replace(/\s+/g, " "));
        const title = verdict.querySelector("h2");
        const view = document.querySelector("header [aria-current]");
        if (title && view) document.title = `${view.textContent}: ${title.textContent.trim()} · farthing`;
      }
    }
  });
  document.addEventListener("htmx:sendError", () => {
    const answer = document.getElementById("answer");
    if (answer && !answer.querySelector(".gone")) answer.insertAdjacentHTML("afterbegin",
      '<div class="verdict bad gone" role="alert"><h2>No connection</h2><p>The server does not answer. Is it still running? The next change asks again.</p></div>');
  });
  // What is shown is no answer to what stands in the form of a slow view until it is asked.
  document.addEventListener("input", (event) => {
    if (event.target.closest("form[data-slow]")) document.getElementById("answer").classList.add("stale");
  });
  explain.addEventListener("click", (event) => { if (event.target === explain) explain.close(); });
})();
