# The installed package: headers, what find_package(selfpatch) reads, and a pkg-config file. Nothing in it depends on
# the machine, so it goes to share/ and serves every architecture.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_folder ${CMAKE_INSTALL_DATADIR}/cmake/selfpatch)

install(DIRECTORY include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp")
if(EXISTS ${PROJECT_SOURCE_DIR}/kernels)
  install(DIRECTORY kernels/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.cuh")
endif()
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# One file of targets per part: a user who asks for `decode` alone need not have MPI.
foreach(part selfpatch decode mpi cuda)
  string(REPLACE "selfpatch_selfpatch" "selfpatch" target selfpatch_${part})
  install(TARGETS ${target} EXPORT selfpatch-${part})
  install(EXPORT selfpatch-${part} NAMESPACE selfpatch:: FILE selfpatch-${part}.cmake
          DESTINATION ${package_folder})
endforeach()

configure_package_config_file(cmake/selfpatchConfig.cmake.in ${PROJECT_BINARY_DIR}/selfpatchConfig.cmake
  INSTALL_DESTINATION ${package_folder} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/selfpatchConfigVersion.cmake
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
configure_file(cmake/selfpatch.pc.in ${PROJECT_BINARY_DIR}/selfpatch.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/selfpatchConfig.cmake ${PROJECT_BINARY_DIR}/selfpatchConfigVersion.cmake
        DESTINATION ${package_folder})
install(FILES ${PROJECT_BINARY_DIR}/selfpatch.pc DESTINATION ${CMAKE_INSTALL_DATADIR}/pkgconfig)
