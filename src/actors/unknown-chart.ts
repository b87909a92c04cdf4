/** What is in a chart that its table does not know, so that the interpreter has to run it. */
export class Unknown extends Error {}
