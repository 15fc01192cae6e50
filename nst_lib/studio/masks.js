// A mask painted over a picture: with the mouse, a finger or a pen, or by rectangles and ellipses given in numbers. The mask
// is the opacity of a canvas of the picture's size; its PNG goes to the kernel after every change.

const STEPS = 20; // that can be undone
const STRIPES = 8; // pixels from one stripe of the mask's pattern to the next

function element(kind, properties = {}, children = []) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}

function numberBox(value, least, most) {
  return element("input", { type: "number", value, min: least, max: most, step: 1 });
}

function labelled(text, control) {
  return element("label", {}, [text, control]);
}

function group(name, children) {
  const made = element("div", { className: "nst-bar" }, children);
  made.setAttribute("role", "group");
  made.setAttribute("aria-label", name);
  return made;
}

// Stripes, so that the mask is told from the picture by more than its colour.
function makePattern(paper) {
  const tile = element("canvas", { width: STRIPES, height: STRIPES });
  const pen = tile.getContext("2d");
  pen.fillStyle = "#d55e0088";
  pen.fillRect(0, 0, STRIPES, STRIPES);
  pen.strokeStyle = "#ffffffcc";
  pen.lineWidth = 1.5;
  for (const shift of [-STRIPES, 0, STRIPES]) {
    pen.moveTo(shift, STRIPES);
    pen.lineTo(shift + STRIPES, 0);
  }
  pen.stroke();
  return paper.createPattern(tile, "repeat");
}

function render({ model, el }) {
  const [width, height] = [model.get("width"), model.get("height")];
  const mask = element("canvas", { width, height });
  const pen = mask.getContext("2d", { willReadFrequently: true });
  const shown = element("canvas", { width, height, tabIndex: -1 });
  const paper = shown.getContext("2d");
  const pattern = makePattern(paper);
  const picture = element("img", { alt: "the picture" });
  const size = element("input", { type: "range", min: 2, max: Math.round(Math.max(width, height) / 3), step: 1,
    value: Math.round(Math.max(width, height) / 12) });
  const sizeBox = numberBox(size.value, size.min, size.max);
  const erase = element("input", { type: "checkbox" });
  const buttons = Object.fromEntries(["Undo", "Clear", "Fill", "Invert"].map(
    (name) => [name, element("button", { type: "button", textContent: name })]));
  const kind = element("select", {}, [element("option", { textContent: "rectangle" }), element("option", { textContent: "ellipse" })]);
  const fields = { left: numberBox(Math.round(width / 4), 0, width), top: numberBox(Math.round(height / 4), 0, height),
    width: numberBox(Math.round(width / 2), 1, width), height: numberBox(Math.round(height / 2), 1, height) };
  const add = element("button", { type: "button", textContent: "Add" });
  const remove = element("button", { type: "button", textContent: "Remove" });
  const line = element("p");
  line.setAttribute("role", "status");
  sizeBox.setAttribute("aria-label", "brush, as a number");
  el.classList.add("nst-mask");
  el.append(
    group("brush", [labelled("brush", size), sizeBox, labelled("erase", erase), ...Object.values(buttons)]),
    group("shape", [labelled("shape", kind), ...Object.entries(fields).map(([name, box]) => labelled(name, box)), add, remove]),
    element("div", { className: "nst-stage" }, [picture, shown]),
    line,
  );
  const former = []; // states of the mask, for Undo
  let own = null; // the PNG that came from here

  function draw() {
    paper.clearRect(0, 0, width, height);
    paper.globalCompositeOperation = "source-over";
    paper.drawImage(mask, 0, 0);
    paper.globalCompositeOperation = "source-in";
    paper.fillStyle = pattern;
    paper.fillRect(0, 0, width, height);
  }
  function remember() {
    former.push(pen.getImageData(0, 0, width, height));
    if (former.length > STEPS) former.shift();
    buttons.Undo.disabled = false;
  }
  async function tell() {
    const { data } = pen.getImageData(0, 0, width, height);
    let sum = 0;
    for (let i = 3; i < data.length; i += 4) sum += data[i];
    const file = await new Promise((done) => mask.toBlob(done, "image/png"));
    own = new DataView(await file.arrayBuffer());
    model.set("data", own);
    model.save_changes();
    line.textContent = `The mask covers ${((100 * sum) / 255 / (width * height)).toFixed(0)} % of the picture.`;
  }
  // Everything that changes the mask: what it was is remembered, and what it is goes to the kernel.
  function change(work, erasing = false) {
    remember();
    pen.globalCompositeOperation = erasing ? "destination-out" : "source-over";
    pen.fillStyle = pen.strokeStyle = "#fff";
    work();
    draw();
    tell();
  }
  function shape(erasing) {
    const [left, top, w, h] = ["left", "top", "width", "height"].map((name) => fields[name].valueAsNumber || 0);
    change(() => {
      pen.beginPath();
      if (kind.value === "ellipse") pen.ellipse(left + w / 2, top + h / 2, w / 2, h / 2, 0, 0, 2 * Math.PI);
      else pen.rect(left, top, w, h);
      pen.fill();
    }, erasing);
  }

  // The brush: a line as broad as the slider says, drawn as long as the pointer is down.
  let stroke = null;
  const place = (event) => {
    const box = shown.getBoundingClientRect();
    return [((event.clientX - box.left) * width) / box.width, ((event.clientY - box.top) * height) / box.height];
  };
  function brush(to) {
    pen.lineWidth = Number(size.value);
    pen.lineCap = pen.lineJoin = "round";
    pen.beginPath();
    pen.moveTo(...stroke);
    pen.lineTo(to[0] + 0.01, to[1]); // a click is a dot, too: Chromium 156 leaves out a line of no length
    pen.stroke();
    stroke = to;
    draw();
  }
  shown.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    event.preventDefault();
    shown.setPointerCapture(event.pointerId);
    remember();
    pen.globalCompositeOperation = erase.checked ? "destination-out" : "source-over";
    pen.strokeStyle = "#fff";
    stroke = place(event);
    brush(stroke);
  });
  shown.addEventListener("pointermove", (event) => stroke && brush(place(event)));
  for (const end of ["pointerup", "pointercancel"]) {
    shown.addEventListener(end, () => {
      if (stroke) tell();
      stroke = null;
    });
  }

  size.addEventListener("input", () => { sizeBox.value = size.value; });
  sizeBox.addEventListener("change", () => { size.value = sizeBox.value; sizeBox.value = size.value; });
  add.addEventListener("click", () => shape(false));
  remove.addEventListener("click", () => shape(true));
  buttons.Clear.addEventListener("click", () => change(() => pen.clearRect(0, 0, width, height)));
  buttons.Fill.addEventListener("click", () => change(() => pen.fillRect(0, 0, width, height)));
  buttons.Invert.addEventListener("click", () => change(() => {
    pen.globalCompositeOperation = "source-out";
    pen.fillRect(0, 0, width, height);
  }));
  buttons.Undo.disabled = true;
  buttons.Undo.addEventListener("click", () => {
    pen.putImageData(former.pop(), 0, 0);
    buttons.Undo.disabled = !former.length;
    draw();
    tell();
  });

  async function received() {
    const data = model.get("data");
    if (data === own || !data?.byteLength) return;
    const bitmap = await createImageBitmap(new Blob([data]));
    pen.globalCompositeOperation = "copy";
    pen.drawImage(bitmap, 0, 0);
    bitmap.close();
    draw();
  }
  model.on("change:data", received);
  picture.src = URL.createObjectURL(new Blob([model.get("picture")], { type: "image/jpeg" }));
  received();
  return () => {
    model.off("change:data", received);
    URL.revokeObjectURL(picture.src);
  };
}

export default { render };
