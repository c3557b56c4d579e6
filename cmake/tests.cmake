# The tests. Every tests/FOLDER/**.cpp is found by name and goes into the program test_FOLDER, which is one CTest test;
# the checks of the house (headers, refusals, snippets, ...) are scripts under tests/house/, one CTest test each.
if(NOT SELFPATCH_TESTS)
  return()
endif()
enable_testing()
selfpatch_find(build_tests "tests" Catch2 JPEG PNG)
set(tests ${PROJECT_SOURCE_DIR}/tests)

if(build_tests)
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS RELATIVE ${tests} tests/*.cpp)
  list(FILTER sources INCLUDE REGEX "/")
  list(FILTER sources EXCLUDE REGEX "^(fuzz|must_not_compile|fixtures|house|cuda)/")
  if(NOT build_programs)
    list(FILTER sources EXCLUDE REGEX "^programs/")
  endif()
  if(NOT MPI_CXX_FOUND)
    list(FILTER sources EXCLUDE REGEX "^mpi/")
  endif()

  add_library(test_main STATIC tests/main.cpp)
  target_include_directories(test_main PUBLIC ${tests})
  target_link_libraries(test_main PUBLIC selfpatch_flags selfpatch::decode Catch2::Catch2)

  # Left out are files that carry none of the tags asked for.
  if(SELFPATCH_TEST_TAGS)
    list(JOIN SELFPATCH_TEST_TAGS "|" tags)
    foreach(source IN LISTS sources)
      file(STRINGS tests/${source} tagged REGEX "\\[(${tags})\\]" LIMIT_COUNT 1)
      if(NOT tagged)
        list(REMOVE_ITEM sources ${source})
      endif()
    endforeach()
    list(TRANSFORM SELFPATCH_TEST_TAGS REPLACE "(.+)" "[\\1]" OUTPUT_VARIABLE filter)
    list(JOIN filter "," filter)
  endif()

  set(folders ${sources})
  list(TRANSFORM folders REPLACE "/.*" "")
  list(REMOVE_DUPLICATES folders)
  foreach(folder IN LISTS folders)
    set(members ${sources})
    list(FILTER members INCLUDE REGEX "^${folder}/")
    list(TRANSFORM members PREPEND tests/)
    add_executable(test_${folder} ${members})
    set_target_properties(test_${folder} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
    target_link_libraries(test_${folder} PRIVATE test_main)
    add_test(NAME ${folder} COMMAND test_${folder} ${filter} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  endforeach()

  # Five elements known to the compiler: g++ 12 takes the guarded lanes behind them for accesses.
  set_source_files_properties(tests/ops/gelu.cpp PROPERTIES COMPILE_OPTIONS "-Wno-array-bounds")

  # 27 instances of each kernel, every loop of them inlined: half the time to compile at -O1, the same to run.
  set_source_files_properties(tests/simt/neighbor_attention.cpp tests/simt/neighbor_attention_16_bit.cpp
                              PROPERTIES COMPILE_OPTIONS "-O1")

  # Folders with needs of their own: programs to run, ranks, kernels compiled for a GPU made of host code.
  if(TARGET test_programs)
    add_dependencies(test_programs ${program_names})
  endif()
  if(TARGET test_mpi)
    target_link_libraries(test_mpi PRIVATE selfpatch::mpi)
  endif()
  if(TARGET test_simt)
    target_include_directories(test_simt BEFORE PRIVATE tests/simt kernels)
    target_compile_options(test_simt PRIVATE -Wno-unknown-pragmas) # "unroll" speaks to the CUDA compiler
  endif()
endif()

# Checks of the tree itself: their compilers are their own, so one build folder is enough for them.
find_program(SELFPATCH_PYTHON python3)
if(SELFPATCH_PYTHON AND NOT SELFPATCH_SANITIZE)
  foreach(check tests/house/headers tests/house/refusals tests/house/snippets tests/house/consumer
                tests/house/packaging tests/house/checkers tests/house/style tests/house/cuda bench/compile/budgets)
    get_filename_component(name ${check} NAME)
    add_test(NAME ${name} COMMAND ${SELFPATCH_PYTHON} ${check}.py --compiler ${CMAKE_CXX_COMPILER}
             WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  endforeach()
  if(program_names)
    add_test(NAME command_lines COMMAND ${SELFPATCH_PYTHON} tests/house/programs.py
             WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
    set_tests_properties(command_lines PROPERTIES ENVIRONMENT SELFPATCH_BIN=${PROJECT_BINARY_DIR}/bin)
  endif()
  add_test(NAME layers COMMAND ${SELFPATCH_PYTHON} scripts/check_layers.py WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
endif()
