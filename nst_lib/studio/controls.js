// What the panels are operated with. Each function draws one kind of control into `el`, and keeps it in step with `model`.

const POSITIONS = 200; // of a logarithmic slider
const PART = 2 ** 21; // bytes of a file to a message: Jupyter ends a connection on which one is larger than 10 MB

function element(kind, properties = {}, children = []) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}

// A slider with a label and a number box beside it. On a logarithmic one, equal distances are equal ratios.
function knob({ model, el }) {
  const [label, least, step, log] = ["label", "least", "step", "log"].map((name) => model.get(name));
  const most = () => model.get("most");
  const digits = step ? (String(step).split(".")[1] ?? "").length : null;
  const round = (value) => Number(step ? value.toFixed(digits) : value.toPrecision(3));
  const toPosition = (value) => (log ? (POSITIONS * Math.log(value / least)) / Math.log(most() / least) : value);
  const toValue = (position) => round(log ? least * (most() / least) ** (position / POSITIONS) : Number(position));

  const slider = element("input", { type: "range", min: log ? 0 : least, max: log ? POSITIONS : most(), step: log ? 1 : step });
  const box = element("input", { type: "number", min: least, max: most(), step: step || "any" });
  box.setAttribute("aria-label", `${label}, as a number`);
  el.classList.add("nst-knob");
  el.append(element("label", {}, [element("span", { textContent: label }), slider]), box);

  function show() {
    const value = model.get("value");
    if (!log) slider.max = most();
    box.max = most();
    slider.value = toPosition(value);
    slider.setAttribute("aria-valuetext", round(value));
    box.value = round(value);
    slider.disabled = box.disabled = model.get("disabled");
  }
  function choose(value) {
    if (Number.isFinite(value)) {
      model.set("value", Math.min(most(), Math.max(least, value)));
      model.save_changes();
    }
    show();
  }
  slider.addEventListener("input", () => {
    if (model.get("continuous")) choose(toValue(slider.value));
    else box.value = toValue(slider.value);
  });
  slider.addEventListener("change", () => choose(toValue(slider.value)));
  box.addEventListener("change", () => choose(box.valueAsNumber));
  box.addEventListener("keydown", (event) => event.key === "Enter" && choose(box.valueAsNumber));
  model.on("change:value change:most change:disabled", show);
  show();
}

// Two pictures of the same thing, one above the other, and a divider between them that the mouse, a finger or the arrow keys
// move: to its left is the first, to its right the second.
function compare({ model, el }) {
  const [first, second] = model.get("names");
  const pictures = { before: element("img", { className: "nst-before" }), after: element("img", { className: "nst-after" }) };
  const divider = element("input", { type: "range", min: 0, max: 100, step: 1 });
  divider.setAttribute("aria-label", `divider: ${first} to its left, ${second} to its right`);
  const tags = [element("span", { className: "nst-tag", textContent: first }), element("span", { className: "nst-tag", textContent: second })];
  const stage = element("div", { className: "nst-stage" }, [
    pictures.after, pictures.before, ...tags, element("div", { className: "nst-line" }), divider,
  ]);
  el.classList.add("nst-compare");
  el.append(stage);

  function load(name) {
    const [picture, old, data] = [pictures[name], pictures[name].src, model.get(name)];
    picture.hidden = !data?.byteLength;
    stage.classList.toggle("nst-alone", pictures.after.hidden);
    if (picture.hidden) return;
    picture.src = URL.createObjectURL(new Blob([data]));
    if (old) URL.revokeObjectURL(old); // what is shown is decoded already
  }
  function place() {
    const at = model.get("position");
    divider.value = at;
    divider.setAttribute("aria-valuetext", `${at} % ${first}`);
    stage.style.setProperty("--at", `${at}%`);
    tags[0].hidden = at < 25;
    tags[1].hidden = at > 75 || at < 1;
  }
  function describe() {
    pictures.before.alt = first;
    pictures.after.alt = model.get("alt");
  }
  divider.addEventListener("input", () => {
    model.set("position", Number(divider.value));
    model.save_changes();
    place();
  });
  model.on("change:before", () => load("before"));
  model.on("change:after", () => load("after"));
  model.on("change:position", place);
  model.on("change:alt", describe);
  load("before");
  load("after");
  place();
  describe();
  return () => Object.values(pictures).forEach((picture) => URL.revokeObjectURL(picture.src));
}

// A picture with its name, to which another one can be dragged; or press it, and choose a file.
function dropzone({ model, el }) {
  const picture = element("img", { alt: "" });
  const name = element("span", { className: "nst-name" });
  const file = element("input", { type: "file", accept: "image/*" });
  const zone = element("label", {}, [
    picture,
    element("span", {}, [element("b", { textContent: model.get("label") }), name]),
    element("small", { textContent: "drop another here, or choose one" }),
    file,
  ]);
  el.classList.add("nst-dropzone");
  el.append(zone);

  async function send(given) {
    if (!given) return;
    name.textContent = `reading ${given.name} ...`;
    const [upload, parts] = [Math.random(), Math.max(1, Math.ceil(given.size / PART))];
    const sent = (parts - 1) * PART > model.get("largest") ? 1 : parts; // by the first part the kernel sees: too large
    let bytes;
    try {
      bytes = await given.slice(0, sent * PART).arrayBuffer();
    } catch { // a folder, or a file that has gone
      name.textContent = `${given.name} cannot be read: drop a picture's file.`;
      return;
    }
    for (let part = 0; part < sent; part++) {
      const buffer = bytes.slice(part * PART, (part + 1) * PART);
      model.send({ upload, part, parts, name: given.name }, undefined, [buffer]);
    }
  }
  file.addEventListener("change", () => {
    send(file.files[0]);
    file.value = ""; // so that the same file can be chosen again
  });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      event.stopPropagation();
      zone.classList.toggle("nst-over", kind === "dragover");
      if (kind === "drop") send(event.dataTransfer.files[0]);
    });
  }
  function show() {
    name.textContent = model.get("name");
    const data = model.get("thumbnail");
    if (picture.src) URL.revokeObjectURL(picture.src);
    if (data?.byteLength) picture.src = URL.createObjectURL(new Blob([data]));
  }
  model.on("change:name change:thumbnail change:uploads", show);
  show();
}

// Text to copy, with a button that does.
function snippet({ model, el }) {
  const label = model.get("label");
  const text = element("pre", { tabIndex: 0 });
  text.setAttribute("role", "region");
  text.setAttribute("aria-label", label);
  const button = element("button", { type: "button", textContent: "Copy", title: `copy: ${label}` });
  const said = element("span");
  said.setAttribute("role", "status");
  el.classList.add("nst-snippet");
  el.append(element("div", {}, [element("span", { textContent: label }), button, said]), text);

  async function copy() {
    try {
      await navigator.clipboard.writeText(model.get("text"));
      said.textContent = "copied";
    } catch { // the browser does not let us: select it, so that Ctrl-C will do
      getSelection().selectAllChildren(text);
      said.textContent = "selected: press Ctrl-C";
    }
  }
  function show() {
    text.textContent = model.get("text");
    said.textContent = "";
  }
  button.addEventListener("click", copy);
  model.on("change:text", show);
  show();
}

const KINDS = { knob, compare, dropzone, snippet };

function render(view) {
  requestAnimationFrame(() => (view.el.closest(".nst-panel") ?? view.el).addEventListener("focusin", keepKeys));
  return KINDS[view.model.get("kind")](view);
}

// JupyterLab takes the arrow keys, Enter and Space for the notebook's, except on elements marked like this.
function keepKeys(event) {
  event.target.dataset.lmSuppressShortcuts = "true";
}

export default { render };
