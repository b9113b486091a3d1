"use strict";
for (const figure of document.querySelectorAll("figure")) {
  const data = JSON.parse(figure.querySelector("script").textContent);
  const tip = figure.querySelector(".tip");
  const hide = () => {
    tip.hidden = true;
    for (const cross of figure.querySelectorAll(".cross")) cross.setAttribute("visibility", "hidden");
  };
  const nearest = (share) => {
    let low = 0, high = data.x.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (data.x[middle] < share) low = middle; else high = middle;
    }
    return share - data.x[low] < data.x[high] - share ? low : high;
  };
  const fill = (i) => {
    tip.replaceChildren();
    const when = document.createElement("b");
    when.textContent = data.when[i];
    tip.append(when);
    data.names.forEach((name, k) => {
      if (!data.rows[i][k]) return;
      const row = document.createElement("span"), word = document.createElement("i");
      word.textContent = name;
      row.append(word, data.rows[i][k]);
      tip.append(row);
    });
  };
  for (const svg of figure.querySelectorAll("svg")) {
    const left = +svg.dataset.left, right = +svg.dataset.right, width = +svg.dataset.width;
    const show = (event) => {
      const box = svg.getBoundingClientRect(), unit = box.width / width;
      const i = nearest(((event.clientX - box.left) / unit - left) / (right - left));
      const x = left + data.x[i] * (right - left), cross = svg.querySelector(".cross");
      cross.setAttribute("x1", x);
      cross.setAttribute("x2", x);
      cross.setAttribute("visibility", "visible");
      fill(i);
      tip.hidden = false;
      const room = box.width - tip.offsetWidth;
      tip.style.left = Math.max(0, Math.min(room, x * unit > box.width / 2 ? x * unit - tip.offsetWidth - 12 : x * unit + 12)) + "px";
    };
    svg.addEventListener("pointermove", show);
    svg.addEventListener("pointerdown", show);
    svg.addEventListener("pointerleave", hide);
  }
}
for (const filter of document.querySelectorAll(".filter")) {
  const input = filter.querySelector("input"), output = filter.querySelector("output");
  const rows = [...filter.parentElement.querySelectorAll("tbody tr")];
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const text = row.textContent.toLowerCase();
      row.hidden = !words.every((word) => text.includes(word));
      shown += !row.hidden;
    }
    output.textContent = words.length ? `${shown} of ${rows.length} rows` : "";
  };
  filter.hidden = false;
  input.addEventListener("input", apply);
}
