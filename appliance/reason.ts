/** Why something failed, under the name the appliance's files know; the words are made where drivers can use them too. */
export { reasonOf } from "../drivers/reason.ts";
