/** What RAUC asks of the boot loader, for a partition that is a file: FILE, the booted slot, and RAUC's own words. */
import { answerRauc } from "../../appliance/update/backend.ts";
import { readBoot, writeBoot } from "../../appliance/update/boot_copies.ts";
import type { SlotName } from "../../appliance/update/contract.ts";
import { DeviceCopies } from "../../appliance/update/device.ts";

const [file, booted, ...words] = Deno.args;
const copies = new DeviceCopies(file!);
const { said, state } = answerRauc(words, (await readBoot(copies)).state, booted as SlotName);
await Deno.writeTextFile(`${file}.asked`, `${words.join(" ")}\n`, { append: true });
if (state !== null) await writeBoot(copies, state);
console.log(said);
