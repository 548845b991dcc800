// The nodes as tiles: kept up to date, walked with arrow keys, with the details of one beneath.
import { cores, element } from "./format.js";

const SVG = "http://www.w3.org/2000/svg";
const LARGE = 64;
const group = document.getElementById("tiles");
const details = document.getElementById("node-details");
const known = new Map();
let pinned = null;
let shown = null;

function svg(name, attributes) {
	const made = document.createElementNS(SVG, name);
	for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
	return made;
}

function make(name) {
	const tile = element("button", "tile");
	tile.type = "button";
	tile.dataset.node = name;
	tile.tabIndex = -1;
	const picture = svg("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" });
	picture.append(svg("rect", { class: "bg", width: 100, height: 100 }));
	for (const part of ["used", "lent", "held"]) picture.append(svg("rect", { class: `fill-${part}`, width: 0, height: 100 }));
	tile.append(element("span", "tile-name", name), picture, element("span", "tile-fact"));
	return tile;
}

function draw(tile, node) {
	const all = Math.max(1, node.cores);
	const [, used, lent, held] = tile.querySelectorAll("rect");
	let at = 0;
	for (const [rect, value] of [[used, node.used], [lent, node.leased], [held, node.held]]) {
		const width = Math.round((value / all) * 1000) / 10;
		rect.setAttribute("x", at);
		rect.setAttribute("width", width);
		at += width;
	}
	const pressed = (node.memoryPressure ?? 0) >= 10 || (node.ioPressure ?? 0) >= 25 || (node.cpuPressure ?? 0) >= 75;
	tile.className = ["tile", node.seen === "reporting" ? "" : node.seen, pressed ? "pressed" : ""].filter(Boolean).join(" ");
	tile.querySelector(".tile-fact").textContent = node.cores ? `${cores(node.used)} of ${node.cores}` : "–";
	const seen = { reporting: "", silent: ", its agent is silent", never: ", no agent reports" }[node.seen];
	tile.setAttribute("aria-label", `${node.node}: ${node.cores} cores, ${cores(node.used)} used, ${cores(node.leased)} lent, `
		+ `${cores(node.held)} held and not used, ${cores(node.free)} free${seen}`);
}

function fact(name, value) { return element("span", "", `${name} `, element("b", "", value)); }

function show(name) {
	shown = name;
	const node = known.get(name);
	if (!node) return;
	const waits = [["CPU", node.cpuPressure], ["memory", node.memoryPressure], ["disk", node.ioPressure]]
		.filter(([, value]) => value !== undefined).map(([what, value]) => `${what} ${value} %`).join(", ");
	details.replaceChildren(
		element("strong", "", node.node), fact("Slurm says", node.state), fact("cores", cores(node.cores)),
		fact("used", cores(node.used)), fact("lent", cores(node.leased)), fact("held, not used", cores(node.held)),
		fact("held by no job", cores(node.free)), fact("on offer", cores(node.offered)), fact("memory leased", node.leasedMemory),
		fact("tasks waited, last 10 s:", waits || "not measured"));
	if (node.reason) details.append(element("span", "why", `lends nothing: ${node.reason}`));
}

function focusOn(tile) {
	for (const other of group.querySelectorAll("[tabindex='0']")) other.tabIndex = -1;
	tile.tabIndex = 0;
	tile.focus();
}

/** Takes what changed of the nodes. */
export function update(now) {
	if (now.whole) {
		known.clear();
		const names = new Set(now.tiles.map((node) => node.node));
		for (const tile of [...group.children]) if (!names.has(tile.dataset.node)) tile.remove();
	}
	for (const name of now.gone) known.delete(name);
	const tiles = new Map([...group.children].map((tile) => [tile.dataset.node, tile]));
	for (const name of now.gone) tiles.get(name)?.remove();
	for (const node of now.tiles) {
		known.set(node.node, node);
		let tile = tiles.get(node.node);
		if (!tile) {
			tile = make(node.node);
			tiles.set(node.node, tile);
			const order = new Intl.Collator("en", { numeric: true });
			const next = [...group.children].find((other) => order.compare(other.dataset.node, node.node) > 0);
			group.insertBefore(tile, next ?? null);
		}
		draw(tile, node);
	}
	group.classList.toggle("dense", group.children.length > LARGE);
	if (group.firstElementChild && !group.querySelector("[tabindex='0']")) group.firstElementChild.tabIndex = 0;
	document.getElementById("no-nodes")?.toggleAttribute("hidden", group.children.length > 0);
	details.hidden = group.children.length === 0;
	if (shown) show(shown);
}

function columns() {
	const top = group.firstElementChild.offsetTop;
	return Math.max(1, [...group.children].findIndex((tile) => tile.offsetTop > top));
}

if (group) {
	group.addEventListener("keydown", (event) => {
		const tile = event.target.closest(".tile");
		if (!tile) return;
		const all = [...group.children];
		const at = all.indexOf(tile);
		const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns(), ArrowUp: at - columns(), Home: 0,
			End: all.length - 1 }[event.key];
		if (to === undefined) return;
		event.preventDefault();
		if (all[to]) focusOn(all[to]);
	});
	group.addEventListener("focusin", (event) => { if (!pinned) show(event.target.dataset.node); });
	group.addEventListener("mouseover", (event) => {
		const tile = event.target.closest(".tile");
		if (tile && !pinned) show(tile.dataset.node);
	});
	group.addEventListener("click", (event) => {
		const tile = event.target.closest(".tile");
		if (!tile) return;
		group.querySelector("[aria-pressed=true]")?.setAttribute("aria-pressed", "false");
		pinned = pinned === tile.dataset.node ? null : tile.dataset.node;
		tile.setAttribute("aria-pressed", String(pinned !== null));
		show(tile.dataset.node);
	});
}
