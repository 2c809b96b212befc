"use strict";
// Filter, sort and copy. The state stands in the address, so that a view can be sent on; without this script all is readable.
(() => {
  const state = new URLSearchParams(location.search);
  const keep = () => {
    const query = state.toString();
    history.replaceState(null, "", location.pathname + (query ? "?" + query : "") + location.hash);
  };

  for (const button of document.querySelectorAll("[data-copy]")) {
    if (!navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    });
  }

  const table = document.querySelector("table[data-filtered]");
  const form = document.querySelector("form.filters");
  if (table && form) {
    const rows = [...table.tBodies[0].rows];
    const texts = rows.map((row) => row.textContent.toLowerCase());
    const input = form.elements.q;
    const show = () => {
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, at) => {
        row.hidden = !words.every((word) => texts[at].includes(word));
        shown += row.hidden ? 0 : 1;
      });
      form.querySelector("output").textContent = shown + " of " + rows.length;
      if (input.value) state.set("q", input.value); else state.delete("q");
      keep();
    };
    form.hidden = false;
    input.value = state.get("q") || "";
    form.addEventListener("submit", (event) => event.preventDefault());
    input.addEventListener("input", show);
    show();
  }

  const value = (row, column) => {
    const text = row.cells[column].textContent.trim();
    const number = Number(text.replace(/[^0-9.+-]/g, ""));
    return row.cells[column].classList.contains("number") ? number : text.toLowerCase();
  };
  const sort = (sorted, column, down) => {
    const body = sorted.tBodies[0];
    const rows = [...body.rows].map((row) => [value(row, column), row]);
    rows.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0) * (down ? -1 : 1));
    body.append(...rows.map(([, row]) => row));
    [...sorted.tHead.rows[0].cells].forEach((cell, at) => {
      if (at === column) cell.setAttribute("aria-sort", down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    });
  };
  document.querySelectorAll("table.sortable").forEach((sorted, number) => {
    const name = "sort" + number;
    [...sorted.tHead.rows[0].cells].forEach((cell, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = cell.textContent;
      cell.replaceChildren(button);
      button.addEventListener("click", () => {
        const down = state.get(name) === String(column);
        state.set(name, down ? "-" + column : String(column));
        keep();
        sort(sorted, column, down);
      });
    });
    const wanted = state.get(name);
    if (wanted !== null && /^-?\d+$/.test(wanted)) {
      const column = Math.abs(Number(wanted));
      if (column < sorted.tHead.rows[0].cells.length) sort(sorted, column, wanted.startsWith("-"));
    }
  });
})();
