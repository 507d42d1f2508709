/**
 * Duty: the node as a drawing: clients, a lane through each box, servers, and what each line carries now.
 *
 * Pure. Two drawings of the same thing, one for wide and one for narrow screens; style shows one of them. Traffic is a
 * thick line, copies are a dashed one, nothing is a thin one, so that it reads without colours. All numbers and states
 * are live values; geometry is fixed.
 */
import { type Child } from "hono/jsx";
import type { BoxView, NodeStatus, Role } from "../../appliance/view.ts";
import { type LiveValues, UNKNOWN } from "./live.ts";
import { Value } from "./parts.tsx";

interface DrawingProps {
  readonly status: NodeStatus;
  readonly values: LiveValues;
}

export function Drawing({ status, values }: DrawingProps) {
  const words = status.boxes.map(({ box, name }) =>
    `${name}: ${values[`box.${box}.duty`]}, ${values[`box.${box}.light`]}`
  ).join("; ");
  const label = `Traffic between clients and servers. Serving: ${values.serving}. ${words}.`;
  return (
    <figure
      class="drawing"
      data-s="fresh"
      data-state={values.fresh}
      tabindex={status.boxes.length > COLUMNS_MAX ? 0 : undefined}
    >
      <Wide status={status} values={values} label={label} />
      <Tall status={status} values={values} label={label} />
      <figcaption class="legend">
        <span class="key traffic">traffic</span>
        <span class="key copies">copies</span>
        <span class="key none">nothing</span>
        <span class="fresh">
          The plane: <Value of={values} name="fresh.text" class="t" />
        </span>
      </figcaption>
    </figure>
  );
}

type View = DrawingProps & { readonly label: string };

const LANE = 112;

function Wide({ status, values, label }: View) {
  const around = status.path === "wire";
  const first = around ? 116 : 64, lanes = status.boxes.length;
  const last = first + LANE * Math.max(0, lanes - 1);
  const middle = (first + last) / 2;
  return (
    <svg class="wide-drawing" viewBox={`0 0 980 ${last + 74}`} role="img" aria-label={label}>
      <End x={64} y={middle} text="Clients" />
      <End x={916} y={middle} text="Servers" />
      {status.boxes.map((box, index) => (
        <Lane box={box} values={values} y={first + LANE * index} middle={middle} />
      ))}
      <Line values={values} name="lane.outer" d={`M120 ${middle}H240`} />
      <Line values={values} name="lane.outer" d={`M740 ${middle}H860`} />
      <Rate values={values} role="upstream" x={180} y={middle} />
      <Rate values={values} role="downstream" x={800} y={middle} />
      <Port values={values} role="upstream" x={120} y={middle} />
      <Port values={values} role="downstream" x={860} y={middle} />
      {around ? <Line values={values} name="lane.wire" d={`M240 ${middle}V40H740V${middle}`} /> : null}
      {around ? <text class="caption" x={490} y={28} text-anchor="middle">around the boxes</text> : null}
    </svg>
  );
}

/** From where clients' and servers' lines end, through the box. */
function Lane({ box, values, y, middle }: {
  box: BoxView;
  values: LiveValues;
  y: number;
  middle: number;
}) {
  const name = `lane.${box.box}`;
  return (
    <g>
      <Line values={values} name={name} d={`M240 ${middle}V${y}H380`} />
      <Line values={values} name={name} d={`M600 ${y}H740V${middle}`} />
      <Rate values={values} role={`${box.box}-in`} x={310} y={y} />
      <Rate values={values} role={`${box.box}-out`} x={670} y={y} />
      <BoxShape box={box} values={values} x={380} y={y - 40} width={220} height={80} />
      <Port values={values} role={`${box.box}-in`} x={380} y={y} />
      <Port values={values} role={`${box.box}-out`} x={600} y={y} />
    </g>
  );
}

const COLUMN = 172;
/** More than so many boxes scroll on a narrow screen. */
const COLUMNS_MAX = 2;

function Tall({ status, values, label }: View) {
  const columns = Math.max(1, status.boxes.length), width = Math.max(360, columns * COLUMN + 16);
  const middle = width / 2, x = (index: number) => middle + COLUMN * (index - (columns - 1) / 2);
  const around = status.path === "wire";
  return (
    <svg
      class="tall-drawing"
      width={columns > COLUMNS_MAX ? width : undefined}
      viewBox={`0 0 ${width} 424`}
      role="img"
      aria-label={label}
    >
      <End x={middle} y={26} text="Clients" />
      <End x={middle} y={398} text="Servers" />
      <Line values={values} name="lane.outer" d={`M${middle} 48V106`} />
      <Line values={values} name="lane.outer" d={`M${middle} 318V376`} />
      <Rate values={values} role="upstream" x={middle + 8} y={80} beside />
      <Rate values={values} role="downstream" x={middle + 8} y={352} beside />
      <Port values={values} role="upstream" x={middle} y={48} beside />
      <Port values={values} role="downstream" x={middle} y={376} beside />
      {around ? <Line values={values} name="lane.wire" d={`M${middle} 106V318`} /> : null}
      {status.boxes.map((box, index) => (
        <g>
          <Line values={values} name={`lane.${box.box}`} d={`M${middle} 106H${x(index)}V172`} />
          <Line values={values} name={`lane.${box.box}`} d={`M${x(index)} 252V318H${middle}`} />
          <Rate values={values} role={`${box.box}-in`} x={x(index) + 8} y={141} beside />
          <Rate values={values} role={`${box.box}-out`} x={x(index) + 8} y={287} beside />
          <BoxShape box={box} values={values} x={x(index) - 80} y={172} width={160} height={80} />
          <Port values={values} role={`${box.box}-in`} x={x(index)} y={172} beside />
          <Port values={values} role={`${box.box}-out`} x={x(index)} y={252} beside />
        </g>
      ))}
    </svg>
  );
}

interface BoxShapeProps {
  readonly box: BoxView;
  readonly values: LiveValues;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

function BoxShape({ box, values, x, y, width, height }: BoxShapeProps) {
  const at = `box.${box.box}`, middle = x + width / 2;
  return (
    <g class="box" data-s={`${at}.duty`} data-state={values[`${at}.duty`]}>
      <rect x={x} y={y} width={width} height={height} rx={8} />
      <text class="box-name" x={middle} y={y + 27} text-anchor="middle">{short(box.name, width)}</text>
      <Live values={values} name={`${at}.duty`} class="box-duty" x={middle} y={y + 46} />
      <g class="mark" data-s={`${at}.light`} data-state={values[`${at}.light`]}>
        <g transform={`translate(${middle - 26} ${y + 61})`}>
          <circle class="green" r={5} />
          <path class="yellow" d="M0 -6L6 5H-6Z" />
          <rect class="red" x={-5} y={-5} width={10} height={10} />
          <circle class="off" r={4} />
        </g>
        <text class="box-light" x={middle - 14} y={y + 65} data-t={`${at}.light`}>
          {values[`${at}.light`]}
        </text>
      </g>
    </g>
  );
}

/** Of a letter of a box's name, about. */
const LETTER = 11;

function short(name: string, width: number): string {
  const most = Math.floor(width / LETTER);
  return name.length > most ? `${name.slice(0, most - 1)}…` : name;
}

function End({ x, y, text }: { x: number; y: number; text: string }) {
  return (
    <g class="end">
      <rect x={x - 56} y={y - 22} width={112} height={44} rx={22} />
      <text x={x} y={y + 5} text-anchor="middle">{text}</text>
    </g>
  );
}

function Line({ values, name, d }: { values: LiveValues; name: string; d: string }) {
  return <path class="line" d={d} data-s={name} data-state={values[name] ?? "none-0"} />;
}

/** The port's end of a line: filled while its link is up. */
function Port({ values, role, x, y, beside = false }: RateProps) {
  // Where no rate stands: over the box, or on the other side of an upright line.
  const [dx, dy, anchor] = beside
    ? [-12, role === "upstream" || role.endsWith("-out") ? 18 : -10, "end"]
    : [0, role.includes("-") ? -48 : -30, "middle"];
  const name = `port.${role}.link`;
  return (
    <g class="port" data-s={name} data-state={values[name] ?? "down"}>
      <circle cx={x} cy={y} r={6} />
      <path class="cut" d={`M${x - 9} ${y - 9}l18 18m0 -18l-18 18`} />
      <text class="port-down" x={x + dx} y={y + dy} text-anchor={anchor}>down</text>
    </g>
  );
}

interface RateProps {
  readonly values: LiveValues;
  readonly role: Role;
  readonly x: number;
  readonly y: number;
  /** Beside an upright line instead of above and below a level one. */
  readonly beside?: boolean;
}

/**
 * What goes towards the servers (above, or first) and towards the clients. A port of a box's client side and the
 * downstream port send towards the servers; the others receive what goes there.
 */
function Rate({ values, role, x, y, beside = false }: RateProps) {
  const sends = role === "downstream" || role.endsWith("-in");
  const [there, back] = sends ? ["tx", "rx"] : ["rx", "tx"];
  const [forth, away] = beside ? ["↓", "↑"] : ["→", "←"];
  const anchor = beside ? "start" : "middle";
  return (
    <g class="rate">
      <text x={x} y={beside ? y - 5 : y - 10} text-anchor={anchor}>
        {forth} <Span values={values} name={`port.${role}.${there}`} />
      </text>
      <text x={x} y={beside ? y + 14 : y + 22} text-anchor={anchor}>
        {away} <Span values={values} name={`port.${role}.${back}`} />
      </text>
    </g>
  );
}

function Span({ values, name }: { values: LiveValues; name: string }): Child {
  return <tspan data-t={name}>{values[name] ?? UNKNOWN}</tspan>;
}

function Live({ values, name, class: kind, x, y }: {
  values: LiveValues;
  name: string;
  class: string;
  x: number;
  y: number;
}) {
  return <text class={kind} x={x} y={y} text-anchor="middle" data-t={name}>{values[name] ?? UNKNOWN}</text>;
}
