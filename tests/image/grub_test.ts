/** The boot loader's script, run by a shell that has GRUB's words, beside the rules that it has to follow. */
import assert from "node:assert/strict";
import { decodeCopy, encodeCopy, FRESH, start, UNKNOWN } from "../../appliance/update/boot_state.ts";
import { SLOT_NAMES, type SlotName } from "../../appliance/update/contract.ts";
import { Random } from "../../filter/random.ts";
import { someStates } from "../support/update_states.ts";

const TOP = decodeURIComponent(new URL("../..", import.meta.url).pathname).replace(/\/$/, "");

/** What stands for GRUB's own words where a shell runs its script. */
const SHELL = `
function set { local name="\${1%%=*}"; [ "$1" = "\${1#*=}" ] || printf -v "$name" %s "\${1#*=}"; }
function regexp { disk=hd0; }
function serial { :; }
function terminal_input { :; }
function terminal_output { :; }
function load_env { local file="$2" line; shift 2
  IFS= read -r line <"$file"; [ "$line" = "# GRUB Environment Block" ] || return 1
  while IFS= read -r line; do case " $* " in *" \${line%%=*} "*) printf -v "\${line%%=*}" %s "\${line#*=}" ;; esac; done <"$file"; }
function save_env { local file="$2" name; shift 2
  IFS= read -r line <"$file"; [ "$line" = "# GRUB Environment Block" ] || return 1
  local text="# GRUB Environment Block"$'\\n'
  for name; do text+="$name=\${!name}"$'\\n'; done
  local pad; printf -v pad '%*s' $((1024 - \${#text})) ''; printf '%s' "$text\${pad// /#}" >"$file"; }
function linux { shift; slot="$1"; [ -f "($part)/vmlinuz" ]; }
function initrd { :; }
function boot { echo "\${slot#remediate.slot=}" >started; exit 0; }
function reboot { echo none >started; exit 0; }
function sleep { :; }
root=hd0,gpt2
`;

async function runScript(at: string, blocks: readonly Uint8Array[], loads: readonly SlotName[]) {
  await Deno.mkdir(`${at}/(hd0,gpt2)/remediate`, { recursive: true });
  for (const [i, block] of blocks.entries()) {
    await Deno.writeFile(`${at}/(hd0,gpt2)/remediate/state.${i + 1}`, block);
  }
  for (const slot of SLOT_NAMES) {
    const part = `${at}/(hd0,gpt${slot === "A" ? 3 : 4})`;
    await Deno.mkdir(part, { recursive: true });
    await Deno.remove(`${part}/slot.cfg`).catch(() => {});
    if (!loads.includes(slot)) continue;
    await Deno.writeTextFile(`${part}/slot.cfg`, 'set slot_arguments="remediate.hash=0"\n');
    await Deno.writeTextFile(`${part}/vmlinuz`, "");
  }
  const script = SHELL + await Deno.readTextFile(`${TOP}/appliance/image/boot/grub.cfg`);
  const { success, stderr } = await new Deno.Command("bash", {
    args: ["-c", script],
    cwd: at,
    stdout: "null",
  })
    .output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const read = (copy: number) => Deno.readFile(`${at}/(hd0,gpt2)/remediate/state.${copy}`);
  const started = (await Deno.readTextFile(`${at}/started`)).trim().toUpperCase();
  return { started: started === "NONE" ? null : started, blocks: [await read(1), await read(2)] };
}

Deno.test("boot/grub.cfg does what start() says, for every state, and with either copy cut", async () => {
  const at = await Deno.makeTempDir({ prefix: "rm-grub-" });
  try {
    const random = new Random(7);
    const cases = someStates().filter((_, i) => i % 11 === 0);
    for (const [i, state] of cases.entries()) {
      const loads = SLOT_NAMES.filter(() => random.below(4) > 0);
      const whole = encodeCopy({ round: i % 3, state });
      const older = encodeCopy({ round: (i + 2) % 3, state: FRESH });
      const torn = new Uint8Array([...encodeCopy({ round: (i + 1) % 3, state: UNKNOWN }).subarray(0, 40)]);
      const cut = new Uint8Array([...torn, ...whole.subarray(40)]);
      for (const blocks of [[whole, whole], [whole, older], [cut, whole], [whole, cut]]) {
        const expected = start(state, (slot) => loads.includes(slot));
        const { started, blocks: left } = await runScript(at, blocks, loads);
        assert.equal(started, expected.slot, JSON.stringify({ state, loads }));
        const counted = JSON.stringify(expected.state) !== JSON.stringify(state);
        if (!counted) continue;
        for (const block of left) assert.deepEqual(decodeCopy(block)?.state, expected.state);
      }
    }
  } finally {
    await Deno.remove(at, { recursive: true });
  }
});
