const { task } = require('rootcatch')

module.exports = { double: task('double', { isolate: true }, (n) => 2 * n) }
